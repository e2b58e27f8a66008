// Items of the signed-in user. Those of others are answered as if they were not there.

import { Router } from 'express';
import { ObjectId } from 'mongodb';
import { z } from 'zod';
import { notFound } from '../errors.js';
import { valid } from '../validation.js';

const Item = z.strictObject({
  name: z.string().trim().min(1).max(200),
  content: z.string().max(10_000).default(''),
});
const Page = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  after: z.string().regex(/^[0-9a-f]{24}$/, 'Takes the id of an item.').optional(),
});

const shown = ({ userId, ...item }) => item;

export function dataRoutes({ store, authenticate }) {
  const router = Router();

  router.get('/data', authenticate, async (request, response) => {
    const page = valid(Page, request.query);
    response.json({ items: (await store.listItems(request.user.id, page)).map(shown) });
  });

  router.post('/data', authenticate, async (request, response) => {
    const now = new Date().toISOString();
    const item = {
      // These sort by the time they were made.
      id: new ObjectId().toHexString(),
      userId: request.user.id,
      ...valid(Item, request.body),
      createdAt: now,
      updatedAt: now,
    };
    await store.createItem(item);
    response.status(201).location(`/data/${item.id}`).json(shown(item));
  });

  router.get('/data/:id', authenticate, async (request, response) => {
    const item = await store.findItem(request.user.id, request.params.id);
    if (!item) throw notFound();
    response.json(shown(item));
  });

  router.put('/data/:id', authenticate, async (request, response) => {
    const changes = { ...valid(Item, request.body), updatedAt: new Date().toISOString() };
    const item = await store.updateItem(request.user.id, request.params.id, changes);
    if (!item) throw notFound();
    response.json(shown(item));
  });

  router.delete('/data/:id', authenticate, async (request, response) => {
    if (!(await store.deleteItem(request.user.id, request.params.id))) throw notFound();
    response.status(204).end();
  });

  return router;
}
