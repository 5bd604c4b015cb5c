import { createRequire } from 'node:module';
import type * as ClassValidator from 'class-validator';

/*
 * The parts of class-validator that configuration needs. Its front door loads everything it can check, telephone numbers
 * of all countries among it: a sixth of the server's start and 18 MB.
 */
const require = createRequire(import.meta.url);

type Library = typeof ClassValidator;

export const { ValidateBy } = require('class-validator/cjs/decorator/common/ValidateBy.js') as Pick<
  Library,
  'ValidateBy'
>;
export const { isFQDN } = require('class-validator/cjs/decorator/string/IsFQDN.js') as Pick<
  Library,
  'isFQDN'
>;
export const { Validator } = require('class-validator/cjs/validation/Validator.js') as Pick<
  Library,
  'Validator'
>;
