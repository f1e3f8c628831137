import { suite } from 'uvu';
import { succeeds } from './shared.ts';

/* The cluster of `environment.test.ts`. */

const tests = suite('installed');

tests('one command line creates the environment and installs an application', async () => {
  await succeeds('create-environment', ',', 'install-app', 'app2');
});

tests.run();
