// From the load of a trial to k6 scenarios. Uploads come first; logins and lists run beside them.

import { config } from './config.js';

const seconds = (value) => `${Math.round(value * 1000)}ms`;

// Room for arrivals while earlier ones still run; k6 starts more, up to maxVUs, when it needs them.
function arrivals(rate, exec, vus, maxVus) {
  // k6 takes whole numbers only: a thousandth of a rate is kept by counting over 1,000 seconds.
  return {
    executor: 'constant-arrival-rate',
    exec,
    rate: Math.max(1, Math.round(rate * 1000)),
    timeUnit: '1000s',
    duration: seconds(config.loadS),
    preAllocatedVUs: Math.max(2, vus),
    maxVUs: Math.max(2, vus, maxVus),
    gracefulStop: seconds(config.drainS),
  };
}

function uploads(exec) {
  const gracefulStop = seconds(config.drainS);
  switch (config.executor) {
    case 'none':
      return null;
    case 'constant-vus':
      return { executor: 'constant-vus', exec, vus: config.vus, duration: seconds(config.loadS), gracefulStop };
    case 'constant-arrival-rate':
      return arrivals(config.rate, exec, config.vus, config.maxVus);
    case 'per-vu-iterations':
      return {
        executor: 'per-vu-iterations',
        exec,
        vus: config.vus,
        iterations: config.iterations,
        maxDuration: seconds(config.loadS),
        gracefulStop,
      };
    case 'ramping-vus':
      return {
        executor: 'ramping-vus',
        exec,
        startVUs: 0,
        stages: config.stages.map(([s, target]) => ({ duration: seconds(s), target })),
        gracefulRampDown: gracefulStop,
        gracefulStop,
      };
    default:
      throw new Error(`EXECUTOR ${config.executor} is not known`);
  }
}

// VUs kept ready for the requests of others: each may take four seconds before k6 has to make more, and
// arrivals that are due while it makes them are dropped.
const sideVus = (rate) => Math.max(8, Math.ceil(rate * 4));

export function options(exec) {
  const scenarios = {};
  const main = uploads(exec);
  if (main !== null) scenarios.uploads = main;
  if (config.loginRate > 0) scenarios.logins = arrivals(config.loginRate, 'login', sideVus(config.loginRate), 200);
  if (config.listRate > 0) scenarios.lists = arrivals(config.listRate, 'list', sideVus(config.listRate), 200);
  return {
    scenarios,
    hosts: config.hosts,
    // Without the URL tag: every presigned URL would become a time series of its own.
    systemTags: ['name', 'scenario', 'status'],
    summaryTrendStats: ['avg', 'min', 'med', 'max', 'p(90)', 'p(95)', 'p(99)', 'p(99.9)', 'count'],
  };
}
