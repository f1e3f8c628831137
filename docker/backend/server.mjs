// Web server for the backend chart where traefik/whoami is not available, with the same answers as far as this project needs.
// Every path shows the server and the request, `/api` as JSON, `/api?env=true` with the environment; `/health` is its health.
// A POST to /health with a status code as its body sets the answer of /health until the next POST.
//
// Settings, from the environment:
//   WHOAMI_PORT_NUMBER   port to listen on; default 80
//   WHOAMI_NAME          name shown by / and /api, if any

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
 * True for the words that Go's strconv.ParseBool accepts as true, as in whoami.
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
  // A connection kept open for another request would delay the shutdown.
  if (!server.listening) response.setHeader('connection', 'close');
  response.writeHead(status, { 'content-type': `${type}; charset=utf-8` }).end(text);
}

server.listen(port, () => {
  const address = server.address();
  process.stdout.write(`listening on port ${typeof address === 'object' ? address?.port : address}\n`);
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    // Finish open requests; close idle connections.
    server.close();
    server.closeIdleConnections();
    // A caller that never finishes its request must not delay the end of the pod.
    setTimeout(() => server.closeAllConnections(), 10_000).unref();
  });
}
