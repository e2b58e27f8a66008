import { emailTaken } from '../errors.js';

/** Keeps everything in this process, until it ends: for a first start, and for tests. */
export class MemoryStore {
  kind = 'memory';
  #users = new Map();
  #items = new Map();

  async ping() {}

  async close() {}

  async createUser(user) {
    if (this.#withEmail(user.email)) throw emailTaken();
    this.#users.set(user.id, { ...user });
  }

  async findUser(id) {
    return this.#users.get(id);
  }

  async findUserByEmail(email) {
    return this.#withEmail(email);
  }

  async createItem(item) {
    this.#items.set(item.id, { ...item });
  }

  async listItems(userId, { limit, after = '' }) {
    return [...this.#items.values()]
      .filter((item) => item.userId === userId && item.id > after)
      .slice(0, limit);
  }

  async findItem(userId, id) {
    const item = this.#items.get(id);
    return item?.userId === userId ? item : undefined;
  }

  async updateItem(userId, id, changes) {
    const item = await this.findItem(userId, id);
    if (!item) return undefined;
    const changed = { ...item, ...changes };
    this.#items.set(id, changed);
    return changed;
  }

  async deleteItem(userId, id) {
    return (await this.findItem(userId, id)) !== undefined && this.#items.delete(id);
  }

  #withEmail(email) {
    return [...this.#users.values()].find((user) => user.email === email);
  }
}
