/** Every directive of ldirectord.cf: where it may stand, and whether it does anything here. */
export type Scope = 'global' | 'virtual' | 'both';
export type Word = {
  readonly scope: Scope;
  /** `none`: it is checked and then has no effect; `server`: it may be repeated. */
  readonly use?: 'none' | 'server';
};

export const WORDS: Readonly<Record<string, Word>> = {
  virtual: { scope: 'global', use: 'server' },
  virtual6: { scope: 'global', use: 'server' },
  real: { scope: 'virtual', use: 'server' },
  real6: { scope: 'virtual', use: 'server' },
  checktimeout: { scope: 'both' },
  negotiatetimeout: { scope: 'both' },
  checkinterval: { scope: 'both' },
  failurecount: { scope: 'both' },
  fallback: { scope: 'both' },
  fallback6: { scope: 'both' },
  fallbackcommand: { scope: 'both' },
  quiescent: { scope: 'both' },
  cleanstop: { scope: 'both' },
  emailalert: { scope: 'both' },
  emailalertfrom: { scope: 'both' },
  smtp: { scope: 'both' },
  autoreload: { scope: 'global' },
  checktype: { scope: 'virtual' },
  service: { scope: 'virtual' },
  checkcommand: { scope: 'virtual' },
  checkport: { scope: 'virtual' },
  request: { scope: 'virtual' },
  receive: { scope: 'virtual' },
  httpmethod: { scope: 'virtual' },
  virtualhost: { scope: 'virtual' },
  login: { scope: 'virtual' },
  passwd: { scope: 'virtual' },
  database: { scope: 'virtual' },
  secret: { scope: 'virtual' },
  scheduler: { scope: 'virtual' },
  persistent: { scope: 'virtual' },
  netmask: { scope: 'virtual' },
  protocol: { scope: 'virtual' },
  ops: { scope: 'virtual' },
  // What they ask for is so anyway: each check has its own time, and the service manager supervises.
  fork: { scope: 'global' },
  supervised: { scope: 'global' },
  checkcount: { scope: 'both', use: 'none' },
  emailalertfreq: { scope: 'both', use: 'none' },
  emailalertstatus: { scope: 'both', use: 'none' },
  readdquiescent: { scope: 'both', use: 'none' },
  maintenancedir: { scope: 'global', use: 'none' },
  monitorfile: { scope: 'virtual', use: 'none' },
  callback: { scope: 'global', use: 'none' },
  execute: { scope: 'global', use: 'none' },
  logfile: { scope: 'global', use: 'none' },
};
