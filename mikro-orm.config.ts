import { loadConfig } from './src/config/config.ts';
import { ormOptions } from './src/storage/open-storage.ts';

/** For MikroORM's command line: the database that `DATABASE_URL` names. */
export default ormOptions(loadConfig().database);
