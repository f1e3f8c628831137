/* As `environment.test.ts`, on a cluster of its own: what concerns the applications and their data. */
import './environment/installed.ts';
import './environment/applications.ts';
import './environment/rendered.ts';
import './environment/restore.ts';
import './environment/removed.ts';
