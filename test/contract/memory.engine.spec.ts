import { engineContract } from './engine-contract.js';
import { memory } from './engines.js';

engineContract('memory', memory);
