import { engineContract } from '../engine-contract.js';
import { lmdb } from '../engines.js';

engineContract('lmdb', lmdb);
