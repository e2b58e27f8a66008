// What both stores promise. MongoDB's is tested where TEST_MONGODB_URL names a database to use.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, describe, test } from 'node:test';
import { MemoryStore } from '../src/store/memory.js';
import { MongoStore } from '../src/store/mongo.js';

const url = process.env.TEST_MONGODB_URL;

for (const [Store, options] of [
  [MemoryStore, {}],
  [MongoStore, { skip: !url && 'TEST_MONGODB_URL is not set' }],
]) {
  describe(Store.name, options, () => {
    const store = new Store(url);
    after(() => store.close());

    const aUser = () => ({ id: randomUUID(), email: `${randomUUID()}@example.com`, name: 'Ada' });
    const anItem = (userId, id) => ({ id, userId, name: 'x', content: '' });

    test('it answers', () => store.ping());

    test('a user is found by id and by address', async () => {
      const user = aUser();
      await store.createUser(user);
      assert.deepEqual(await store.findUser(user.id), user);
      assert.deepEqual(await store.findUserByEmail(user.email), user);
      assert.equal(await store.findUser('nobody'), undefined);
      assert.equal(await store.findUserByEmail('nobody@example.com'), undefined);
    });

    test('of two users with one address only one is made, even at once', async () => {
      const user = aUser();
      const both = [user, { ...user, id: randomUUID() }].map((each) => store.createUser(each));
      const outcomes = await Promise.allSettled(both);
      const refused = outcomes.filter(({ status }) => status === 'rejected');
      assert.deepEqual(refused.map(({ reason }) => reason.code), ['EMAIL_TAKEN']);
    });

    test('items belong to their user, in the order of their ids', async () => {
      const [mine, other] = [randomUUID(), randomUUID()];
      const items = ['1', '2', '3'].map((number) => anItem(mine, `${mine}-${number}`));
      for (const item of items) await store.createItem(item);
      const [first, second, third] = items;
      assert.deepEqual(await store.listItems(mine, { limit: 2 }), [first, second]);
      assert.deepEqual(await store.listItems(mine, { limit: 2, after: second.id }), [third]);
      assert.deepEqual(await store.listItems(other, { limit: 2 }), []);
      assert.deepEqual(await store.findItem(mine, first.id), first);
      assert.equal(await store.findItem(other, first.id), undefined);
      assert.equal(await store.updateItem(other, first.id, { name: 'y' }), undefined);
      assert.equal(await store.deleteItem(other, first.id), false);
      const changed = { ...first, name: 'y' };
      assert.deepEqual(await store.updateItem(mine, first.id, { name: 'y' }), changed);
      assert.deepEqual(await store.findItem(mine, first.id), changed);
      assert.equal(await store.deleteItem(mine, first.id), true);
      assert.equal(await store.deleteItem(mine, first.id), false);
    });
  });
}
