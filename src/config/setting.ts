import { StartError } from '../errors.js';
import { ValidateBy } from './validation.js';

/** A field of a configuration class that the environment decides. */
export interface Setting {
  readonly property: string;
  readonly name: string;
  readonly parse: (text: string) => unknown;
  /** What a value looks like. */
  readonly form: string;
}

const settings: Setting[] = [];

/** The settings of the classes that have been loaded. */
export function knownSettings(): readonly Setting[] {
  return settings;
}

/**
 * Marks a field of a configuration class as the setting `name` of the environment.
 * @param form what a value looks like, for the message about one that does not
 * @param parse turns the text into the field's value, or undefined if it does not have the form
 */
export function FromEnvironment<T>(
  name: string,
  form: string,
  parse: (text: string) => T | undefined,
): PropertyDecorator {
  return (target, property) => {
    settings.push({ property: String(property), name, parse, form });
    ValidateBy({
      name,
      validator: {
        validate: (value) => value !== undefined,
        defaultMessage: () => `${name} must be ${form}`,
      },
    })(target, property);
  };
}

/** Puts the values of `environment` into `config`. Empty counts as not set. Answers what each setting was given. */
export function applyEnvironment(config: object, environment: NodeJS.ProcessEnv): Map<string, string> {
  const given = new Map<string, string>();
  for (const { property, name, parse } of settings) {
    const text = environment[name];
    if (text === undefined || text === '') continue;
    given.set(property, text);
    (config as Record<string, unknown>)[property] = parse(text);
  }
  return given;
}

/** The one line for a field whose check failed. */
export function badSetting(message: string, given: string | undefined): StartError {
  return new StartError(given === undefined ? `${message}.` : `${message}, not ${JSON.stringify(given)}.`);
}
