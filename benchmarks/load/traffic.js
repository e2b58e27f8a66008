// Mixed traffic of many users against an installation, for k6.
//
//   k6 run -e BASE_URL=http://127.0.0.1:8080 -e ADMIN_EMAIL=… -e ADMIN_PASSWORD=… -e PROFILE=normal traffic.js
//
// 70 % reads by services.php and REST, 15 % writes, 10 % monitoring, 5 % downloads. Each user does one
// thing after another with half a second to one and a half between, as people and their pages do. The
// accounts and services that it works on are made first, through the API.
import http from 'k6/http';
import { check, fail, sleep } from 'k6';
import { Rate } from 'k6/metrics';
import exec from 'k6/execution';

const BASE = __ENV.BASE_URL;

// The two profiles of the product's description, and one short enough for every commit.
const PROFILES = {
  normal: { users: 50, rampUp: '1m', steady: '4m', accounts: 10, services: 50 },
  peak: { users: 200, rampUp: '2m', steady: '8m', accounts: 40, services: 50 },
  short: { users: 20, rampUp: '3s', steady: '12s', accounts: 4, services: 10 },
};
const profile = PROFILES[__ENV.PROFILE || 'short'];
const P95_MILLISECONDS = Number(__ENV.P95 || 250);

const KINDS = ['read', 'write', 'monitoring', 'download'];
const right = new Rate('right_answers');

export const options = {
  scenarios: {
    users: {
      executor: 'ramping-vus',
      startVUs: 1,
      stages: [
        { duration: profile.rampUp, target: profile.users },
        { duration: profile.steady, target: profile.users },
      ],
      gracefulRampDown: '10s',
    },
  },
  setupTimeout: '10m',
  // A host name that no name server knows, where BASE_URL has one.
  hosts: __ENV.HOST ? { [__ENV.HOST]: __ENV.ADDRESS } : {},
  summaryTrendStats: ['count', 'med', 'p(95)', 'p(99)', 'max'],
  thresholds: {
    right_answers: ['rate==1'],
    'http_req_failed{scenario:users}': ['rate==0'],
    'http_req_duration{scenario:users}': [`p(95)<${P95_MILLISECONDS}`],
    // A threshold is how k6 is told to keep the numbers of each kind apart.
    ...Object.fromEntries(
      KINDS.map((kind) => [`http_req_duration{kind:${kind}}`, ['max>=0']]),
    ),
    ...Object.fromEntries(KINDS.map((kind) => [`http_req_failed{kind:${kind}}`, ['rate==0']])),
  },
};

function json(token, tags) {
  const headers = { 'Content-Type': 'application/json' };
  if (token) headers.Authorization = `Bearer ${token}`;
  return { headers, tags };
}

function data(response) {
  if (response.status < 200 || response.status > 299) {
    fail(`${response.request.method} ${response.request.url}: ${response.status} ${response.body}`);
  }
  return response.json('data');
}

function signIn(email, password) {
  const body = JSON.stringify({ email, password, session: false });
  const answer = http.post(`${BASE}/api/auth/login`, body, json(null, { kind: 'setup' }));
  return data(answer).accessToken;
}

const SUBSCRIPTIONS = ['hosting', 'kubernetes', 'database'];

/** Makes the accounts, each with a project of components, and with subscriptions. */
export function setup() {
  const admin = signIn(__ENV.ADMIN_EMAIL, __ENV.ADMIN_PASSWORD);
  const password = __ENV.ADMIN_PASSWORD;
  const run = Date.now().toString(36);
  const accounts = [];
  for (let number = 0; number < profile.accounts; number += 1) {
    const email = `load-${run}-${number}@example.com`;
    const person = { email, name: `Load ${number}`, password, role: 'user' };
    data(http.post(`${BASE}/api/users`, JSON.stringify(person), json(admin, { kind: 'setup' })));
    const token = signIn(email, password);
    const project = `load-${run}-${number}`;
    const made = [];
    for (let first = 0; first < profile.services; first += 10) {
      const requests = [];
      for (let index = first; index < Math.min(first + 10, profile.services); index += 1) {
        const component = index % 5 !== 0;
        const body = component
          ? { name: `Service ${index}`, type: 'api', project, configuration: { environment: { PORT: '3000', MODE: 'production' } } }
          : { name: `Plan ${index}`, type: SUBSCRIPTIONS[(index / 5) % SUBSCRIPTIONS.length] };
        requests.push(['POST', `${BASE}/api/services`, JSON.stringify(body), json(token, { kind: 'setup' })]);
      }
      for (const answer of http.batch(requests)) made.push(data(answer));
    }
    const components = made.filter((each) => each.project === project).map((each) => each.id);
    const subscriptions = made
      .filter((each) => SUBSCRIPTIONS.includes(each.type))
      .map(({ id, type, billingId, clusterId }) => ({ id, type, billingId, clusterId }));
    accounts.push({ token, project, components, subscriptions });
  }
  return accounts;
}

const any = (list) => list[Math.floor(Math.random() * list.length)];

function legacy(account, kind, parameters) {
  const query = Object.entries(parameters)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join('&');
  const headers = { Authorization: `Bearer ${account.token}` };
  const tags = { kind, name: `services.php ${Object.keys(parameters)[0]}` };
  if (kind === 'write') {
    headers['Content-Type'] = 'application/x-www-form-urlencoded';
    return http.post(`${BASE}/services.php`, query, { headers, tags });
  }
  return http.get(`${BASE}/services.php?${query}`, { headers, tags });
}

function rest(account, kind, method, path, body, name) {
  const params = json(account.token, { kind, name: name || `${method} ${path}` });
  return http.request(method, `${BASE}${path}`, body ? JSON.stringify(body) : null, params);
}

// What this user has made, and takes away again, so that lists keep their length.
const own = [];

const READS = [
  (a) => legacy(a, 'read', { getServices: 'getServices', project: a.project }),
  (a) => legacy(a, 'read', { getServices: 'getServices', project: a.project, type: 'api', limit: 20 }),
  (a) => legacy(a, 'read', { getService: 'getService', serviceId: any(a.components) }),
  (a) => legacy(a, 'read', { getConfig: 'getConfig', serviceId: any(a.components) }),
  (a) => rest(a, 'read', 'GET', '/api/services/active'),
  (a) => rest(a, 'read', 'GET', '/api/services?limit=50'),
  (a) => rest(a, 'read', 'GET', `/api/services/${any(a.components)}`, null, 'GET /api/services/{id}'),
  (a) => rest(a, 'read', 'GET', `/api/services/${any(a.components)}/config`, null, 'GET …/config'),
];

const WRITES = [
  (a) => {
    const answer = legacy(a, 'write', {
      createService: 'createService', name: `Made ${exec.vu.idInTest}`, type: 'utility', project: `${a.project}-made`,
    });
    if (answer.status === 200) own.push(answer.json('data.serviceId'));
    return answer;
  },
  (a) => {
    if (own.length < 3) return WRITES[0](a);
    return legacy(a, 'write', { deleteService: 'deleteService', serviceId: own.shift() });
  },
  (a) => legacy(a, 'write', { updateService: 'updateService', serviceId: any(a.components), description: `at ${Date.now()}` }),
  (a) => rest(a, 'write', 'PATCH', `/api/services/${any(a.components)}`, { description: `by ${exec.vu.idInTest} at ${Date.now()}` }, 'PATCH /api/services/{id}'),
  (a) => rest(a, 'write', 'POST', `/api/services/${any(a.components)}/config`, { environment: { PORT: String(3000 + Math.floor(Math.random() * 999)) } }, 'POST …/config'),
  (a) => rest(a, 'write', 'POST', `/api/services/${any(a.subscriptions).id}/${any(['suspend', 'resume'])}`, { reason: 'load' }, 'POST …/suspend'),
];

const MONITORING = [
  (a) => rest(a, 'monitoring', 'POST', `/api/services/${any(a.components)}/metrics`, {
    samples: ['requests', 'errors', 'responseTime', 'cpu'].map((name) => ({ name, value: Math.random() * 100 })),
  }, 'POST …/metrics'),
  (a) => rest(a, 'monitoring', 'POST', `/api/services/${any(a.components)}/logs`, {
    entries: Array.from({ length: 20 }, (_, line) => ({ level: 'info', message: `user ${exec.vu.idInTest} line ${line} took ${Math.random()} s` })),
  }, 'POST …/logs'),
  (a) => legacy(a, 'monitoring', { getMetrics: 'getMetrics', serviceId: any(a.components), timeframe: '24h' }),
  (a) => legacy(a, 'monitoring', { getLogs: 'getLogs', serviceId: any(a.components) }),
  (a) => rest(a, 'monitoring', 'GET', `/api/services/${any(a.components)}/health`, null, 'GET …/health'),
];

const DOWNLOADS = [
  (a) => {
    const { clusterId } = any(a.subscriptions.filter((each) => each.type === 'kubernetes'));
    return rest(a, 'download', 'GET', `/api/services/download/kubernetes/${clusterId}`, null, 'GET …/download/kubernetes');
  },
  (a) => {
    const { billingId } = any(a.subscriptions.filter((each) => each.type === 'hosting'));
    return rest(a, 'download', 'GET', `/api/services/download/hosting/${billingId}`, null, 'GET …/download/hosting');
  },
];

export default function act(accounts) {
  const account = accounts[exec.vu.idInTest % accounts.length];
  const chance = Math.random();
  const kind = chance < 0.7 ? READS : chance < 0.85 ? WRITES : chance < 0.95 ? MONITORING : DOWNLOADS;
  const answer = any(kind)(account);
  const isRight = answer.status >= 200 && answer.status < 300 && answer.body.length > 0;
  right.add(isRight);
  check(answer, { 'answered with 2xx': () => isRight });
  if (!isRight) {
    console.error(`${answer.request.method} ${answer.request.url}: ${answer.status} ${answer.error} ${String(answer.body).slice(0, 300)}`);
  }
  sleep(0.5 + Math.random());
}

export function handleSummary(summary) {
  return { [__ENV.SUMMARY || 'summary.json']: JSON.stringify(summary) };
}
