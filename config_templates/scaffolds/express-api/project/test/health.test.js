import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serve } from '../testing/serve.js';

test('a service that can work is healthy and says where its data is', async () => {
  const service = await serve();
  const { status, body } = await service.get('/health');
  await service.close();
  assert.equal(status, 200);
  assert.deepEqual(body, {
    status: 'healthy',
    checks: { database: { status: 'healthy', kind: 'memory' } },
  });
});

test('a service whose database does not answer is not', async () => {
  // Nothing listens on port 1.
  const service = await serve({ MONGODB_URL: 'mongodb://127.0.0.1:1/shop' });
  const { status, body } = await service.get('/health');
  const login = { email: 'ada@example.com', password: 'correct horse battery' };
  const refused = await service.post('/auth/login', login);
  await service.close();
  assert.deepEqual([refused.status, refused.body.error.code], [503, 'DATABASE_UNAVAILABLE']);
  assert.equal(status, 503);
  assert.deepEqual(body, {
    status: 'unhealthy',
    checks: { database: { status: 'unhealthy', kind: 'mongodb' } },
  });
});
