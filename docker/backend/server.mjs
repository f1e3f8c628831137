// A small web server for the backend chart where traefik/whoami cannot be had, with the same answers as far as this project
// asks: every path tells who answers and what was asked, `/api` as JSON, `/api?env=true` the environment too, `/health` whether
// it is well.
// A POST to /health with a status code as its body decides what /health answers from then on, until the next one.
//
// Settings, from the environment:
//   WHOAMI_PORT_NUMBER   port to listen on; default 80
//   WHOAMI_NAME          name that / and /api tell, if any

import { createServer } from 'node:http';
import { hostname, networkInterfaces } from 'node:os';

/** @typedef {import('node:http').IncomingMessage} Request */
/** @typedef {import('node:http').ServerResponse} Response */

const port = Number(process.env.WHOAMI_PORT_NUMBER || 80);
const name = process.env.WHOAMI_NAME;
let health = 200;

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://backend');
  if (url.pathname === '/health') return answerHealth(request, response);
  if (url.pathname === '/api') return answerApi(request, response, isTrue(url.searchParams.get('env')));
  return answerText(request, response);
});

/**
 * The words that Go's strconv.ParseBool takes for true, as whoami reads them.
 *
 * @param {string | null} word
 */
function isTrue(word) {
  return ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(word ?? '');
}

/**
 * @param {Request} request
 * @param {Response} response
 */
async function answerHealth(request, response) {
  if (request.method !== 'POST') return send(response, health, 'text/plain', '');
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += String(chunk).slice(0, 16);
  if (!/^[1-5]\d\d$/.test(body.trim())) return send(response, 400, 'text/plain', 'expected a status code\n');
  health = Number(body);
  return send(response, 200, 'text/plain', '');
}

/**
 * @param {Request} request
 * @param {Response} response
 * @param {boolean} withEnvironment
 */
function answerApi(request, response, withEnvironment) {
  const pairs = Object.entries(process.env).map(([variable, value]) => `${variable}=${value}`);
  const answer = {
    hostname: hostname(),
    ip: addresses(),
    headers: request.headersDistinct,
    url: request.url,
    host: request.headers.host,
    method: request.method,
    ...(name ? { name } : {}),
    remoteAddr: remoteAddress(request),
    ...(withEnvironment ? { environ: pairs } : {}),
  };
  send(response, 200, 'application/json', `${JSON.stringify(answer)}\n`);
}

/**
 * @param {Request} request
 * @param {Response} response
 */
function answerText(request, response) {
  const headers = Object.entries(request.headersDistinct).map(([header, values]) => `${header}: ${values}`);
  const lines = [
    ...(name ? [`Name: ${name}`] : []),
    `Hostname: ${hostname()}`,
    ...addresses().map((address) => `IP: ${address}`),
    `RemoteAddr: ${remoteAddress(request)}`,
    `${request.method} ${request.url} HTTP/${request.httpVersion}`,
    ...headers,
  ];
  send(response, 200, 'text/plain', `${lines.join('\n')}\n`);
}

const addresses = () =>
  Object.values(networkInterfaces()).flatMap((own) => (own ?? []).map(({ address }) => address));

/** @param {Request} request */
const remoteAddress = ({ socket }) => `${socket.remoteAddress}:${socket.remotePort}`;

/**
 * @param {Response} response
 * @param {number} status
 * @param {string} type
 * @param {string} text
 */
function send(response, status, type, text) {
  // Kept open for a next request, the connection would keep a server that ends.
  if (!server.listening) response.setHeader('connection', 'close');
  response.writeHead(status, { 'content-type': `${type}; charset=utf-8` }).end(text);
}

server.listen(port, () => {
  const address = server.address();
  process.stdout.write(`listening on port ${typeof address === 'object' ? address?.port : address}\n`);
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    // What is being answered is answered; who waits for nothing is let go.
    server.close();
    server.closeIdleConnections();
    // A caller that never ends its request must not keep the pod.
    setTimeout(() => server.closeAllConnections(), 10_000).unref();
  });
}
