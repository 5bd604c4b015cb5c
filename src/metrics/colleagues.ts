import cluster from 'node:cluster';
import {
  REPORT_MS,
  type OtherReports,
  type Report,
  type ReportAnswer,
  type ReportQuestion,
  type ReportsAnswer,
  type ReportsQuestion,
} from './reports.js';

const NOBODY: OtherReports = { reports: [], silent: 0 };

/** A worker's part in collecting what all workers count (reports.ts). */
export class Colleagues {
  /** Called with the answers to the questions that are open, by their numbers. */
  private readonly open = new Map<number, (answer: OtherReports) => void>();
  private asked = 0;

  /** @param workers how many processes serve; alone there is nobody to ask */
  constructor(
    private readonly workers: number,
    private readonly report: () => Promise<Report>,
  ) {
    if (cluster.isWorker) process.on('message', this.hear);
  }

  /** Returns what the others count, within two seconds. */
  ask(own: Report): Promise<OtherReports> {
    if (!cluster.isWorker) return Promise.resolve(NOBODY);
    const id = ++this.asked;
    const question: ReportsQuestion = { pigeonhole: 'ask-reports', id, own };
    return new Promise((resolve) => {
      const settle = (answer: OtherReports) => {
        clearTimeout(timer);
        this.open.delete(id);
        resolve(answer);
      };
      const timer = setTimeout(settle, 2 * REPORT_MS, { reports: [], silent: this.workers - 1 });
      this.open.set(id, settle);
      send(question);
    });
  }

  stop(): void {
    process.off('message', this.hear);
  }

  private readonly hear = (message: ReportQuestion | ReportsAnswer | undefined): void => {
    if (message?.pigeonhole === 'reports') this.open.get(message.id)?.(message);
    if (message?.pigeonhole === 'ask-report') void this.tell();
  };

  private async tell(): Promise<void> {
    send({ pigeonhole: 'report', report: await this.report() });
  }
}

/** A supervisor that has ended hears nothing, and ends this process. */
function send(message: ReportsQuestion | ReportAnswer): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}
