/*
 * The embedded cluster with a real API server, Vault, operator and PostgreSQL, and one application: what may happen to
 * it. It is created once for all scenarios; each leaves it healthy. To run one: `node --import tsx
 * tests/integration/environment.test.ts people`.
 */
import './environment/installed.ts';
import './environment/trouble.ts';
import './environment/rights.ts';
import './environment/people.ts';
import './environment/passwords.ts';
import './environment/destroy.ts';
