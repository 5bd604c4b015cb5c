import type { Worker } from 'node:cluster';
import {
  addRemains,
  remainsOf,
  REPORT_MS,
  type Report,
  type ReportAnswer,
  type ReportQuestion,
  type ReportsAnswer,
  type ReportsQuestion,
} from './reports.js';

type Message = ReportAnswer | ReportsQuestion | undefined;

const ASK: ReportQuestion = { pigeonhole: 'ask-report' };

/** The supervisor's part in collecting what all workers count (reports.ts). */
export class ReportExchange {
  private readonly workers = new Set<Worker>();
  /** What each of them reported last. */
  private readonly last = new Map<Worker, Report>();
  /** The counters of all that have ended. */
  private remains: Report | undefined;

  /** Takes part in what a worker asks and reports, until it ends. */
  follow(worker: Worker): void {
    this.workers.add(worker);
    worker.on('message', (message: Message) => {
      if (message?.pigeonhole === 'report') this.last.set(worker, message.report);
      if (message?.pigeonhole === 'ask-reports') void this.answer(worker, message);
    });
    worker.once('exit', () => this.bury(worker));
  }

  private async answer(asker: Worker, { id, own }: ReportsQuestion): Promise<void> {
    this.last.set(asker, own);
    const others = [...this.workers].filter((each) => each !== asker);
    const answered = await Promise.all(others.map(ask));
    const reports = others.flatMap((each) => this.last.get(each) ?? []);
    const answer: ReportsAnswer = {
      pigeonhole: 'reports',
      id,
      reports: this.remains ? [...reports, this.remains] : reports,
      silent: answered.filter((isFresh) => !isFresh).length,
    };
    if (asker.isConnected()) asker.send(answer, () => undefined);
  }

  private bury(worker: Worker): void {
    const last = this.last.get(worker);
    this.workers.delete(worker);
    this.last.delete(worker);
    if (last) this.remains = this.remains ? addRemains(this.remains, remainsOf(last)) : remainsOf(last);
  }
}

/** Asks a worker for its report. Resolves to whether it is silent no longer: it has reported, or has ended. */
function ask(worker: Worker): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (isFresh: boolean) => {
      clearTimeout(timer);
      worker.off('message', onMessage).off('exit', onExit);
      resolve(isFresh);
    };
    const onMessage = (message: Message) => {
      if (message?.pigeonhole === 'report') settle(true);
    };
    const onExit = () => settle(true);
    const timer = setTimeout(settle, REPORT_MS, false);
    worker.on('message', onMessage).on('exit', onExit);
    if (worker.isConnected()) worker.send(ASK, () => undefined);
  });
}
