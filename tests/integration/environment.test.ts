/*
 * The embedded cluster with a real API server, Vault, operator and PostgreSQL, from a fresh clone to its removal. It is
 * created once for all scenarios; each leaves it healthy, with both applications. To run one: `node --import tsx
 * tests/integration/environment.test.ts people`.
 */
import './environment/create.ts';
import './environment/trouble.ts';
import './environment/rights.ts';
import './environment/people.ts';
import './environment/passwords.ts';
import './environment/destroy.ts';
