/** Exit codes: the table of docs/keepalived-command.md. */
export const EXIT = {
  done: 0,
  failed: 1,
  /** Wrong usage, wrong configuration. */
  wrong: 2,
  /** `status`: nothing runs. */
  notRunning: 3,
  /** Another one runs already: nothing was changed. */
  refused: 4,
  /** It runs, and does not answer. */
  noAnswer: 6,
  notPermitted: 7,
  /** `status`: something runs, and not all of it well. */
  degraded: 8,
} as const;

/** What `keepalived -t` returns (2.2.7 and 2.4.3; the manual is off by one), with `--lenient`. */
export const KEEPALIVED_TEST = { clean: 0, cannotRun: 4, complaints: 5, scriptSecurity: 6 } as const;
