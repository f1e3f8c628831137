/* As `environment.test.ts`, on a cluster of its own with both applications: their creation, changes and data. */
import { suite } from 'uvu';
import './environment/create.ts';
import './environment/applications.ts';
import './environment/rendered.ts';
import './environment/restore.ts';
import { sandbox } from './environment/shared.ts';

const removed = suite('removed');
sandbox.removeAfter(removed, 'development');
removed.run();
