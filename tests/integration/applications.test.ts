/* As `environment.test.ts`, on a cluster of its own with both applications: their creation, changes and data. */
import { suite } from 'uvu';
import { applications } from './environment/applications.ts';
import { create } from './environment/create.ts';
import { rendered } from './environment/rendered.ts';
import { restore } from './environment/restore.ts';
import { runScenarios, sandbox } from './environment/shared.ts';

const removed = suite('removed');
sandbox.removeAfter(removed, 'development');

create.run();
runScenarios({ applications, rendered, restore });
removed.run();
