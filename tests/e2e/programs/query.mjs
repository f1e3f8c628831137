// Runs the statements of $STATEMENT with the database parameters of the environment and the CA $AUTHORITY (PEM), and prints the
// rows of the last one as JSON.

import pg from 'pg';

const { DB_HOST = '', DB_PORT, DB_NAME, DB_USER, DB_PASSWORD, AUTHORITY = '', STATEMENT } = process.env;
const client = new pg.Client({
  host: DB_HOST,
  port: Number(DB_PORT),
  user: DB_USER,
  password: DB_PASSWORD,
  database: DB_NAME,
  ssl: { ca: AUTHORITY, servername: DB_HOST },
  connectionTimeoutMillis: 10_000,
});
await client.connect();
const results = [await client.query(STATEMENT ?? '')].flat();
process.stdout.write(JSON.stringify(results.at(-1)?.rows));
await client.end();
