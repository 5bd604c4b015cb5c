import type { Clients } from './clients.js';
import { judgeObjects, objectOf } from './register.js';
import { describeHistory, smallest } from './smallest.js';

/** What the histories of one scenario have shown. */
export class Findings {
  /** A sentence for each object without a legal order, and for each tag with two values. */
  readonly wrong: string[] = [];
  operations = 0;
  private histories = 0;
  private unknown = 0;
  private repeats = 0;
  private readonly verdicts = { legal: 0, illegal: 0, undecided: 0 };

  add({ exchanges, tags, repeats }: Clients): void {
    this.histories++;
    this.operations += exchanges.length;
    this.unknown += exchanges.filter(({ answer }) => !answer).length;
    this.repeats += repeats;
    this.wrong.push(...tags.conflicts);
    for (const [object, verdict] of judgeObjects(exchanges)) {
      this.verdicts[verdict]++;
      if (verdict === 'undecided') this.wrong.push(`${object} is undecided`);
      if (verdict !== 'illegal') continue;
      const history = exchanges.filter(({ key }) => objectOf(key) === object);
      this.wrong.push(`${object} is illegal:\n${describeHistory(smallest(history))}`);
    }
  }

  /** Prints the figures of a scenario. @param faults what was made to fail, and how often */
  print(name: string, faults: string): void {
    const { illegal, undecided } = this.verdicts;
    process.stdout.write(
      `${name}: ${this.histories} histories, ${this.operations} operations, ${this.unknown} unknown, ${this.repeats} keyed writes repeated, ` +
        `${illegal} illegal, ${undecided} undecided; ${faults}\n`,
    );
  }
}
