import { Initial } from './0001-initial.ts';
import { Access } from './0002-access.ts';
import { Queue } from './0003-queue.ts';
import { Setting } from './0004-setting.ts';
import { Deletion } from './0005-deletion.ts';
import { Routing } from './0006-routing.ts';
import { Policy } from './0007-policy.ts';

/** In the order they are applied. A migration that has been released is never edited. */
export const sqliteMigrations = [
  { name: '0001-initial', class: Initial },
  { name: '0002-access', class: Access },
  { name: '0003-queue', class: Queue },
  { name: '0004-setting', class: Setting },
  { name: '0005-deletion', class: Deletion },
  { name: '0006-routing', class: Routing },
  { name: '0007-policy', class: Policy },
];
