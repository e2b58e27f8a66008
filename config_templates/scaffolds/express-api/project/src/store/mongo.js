import { MongoClient, MongoNetworkError, MongoServerSelectionError } from 'mongodb';
import { emailTaken } from '../errors.js';

const DUPLICATE_KEY = 11000;

/** Whether an error says that the database could not be reached, rather than what it answered. */
export const isUnreachable = (error) =>
  error instanceof MongoNetworkError || error instanceof MongoServerSelectionError;

/** Keeps everything in MongoDB, in the database that the URL names. */
export class MongoStore {
  kind = 'mongodb';
  #client;
  #connecting;

  constructor(url) {
    this.#client = new MongoClient(url, {
      serverSelectionTimeoutMS: 2000,
      connectTimeoutMS: 2000,
      socketTimeoutMS: 20_000,
    });
  }

  async ping() {
    await this.#connected();
    await this.#client.db().command({ ping: 1 });
  }

  async close() {
    await this.#client.close();
  }

  async createUser(user) {
    const { users } = await this.#connected();
    try {
      await users.insertOne(toDocument(user));
    } catch (error) {
      throw error.code === DUPLICATE_KEY ? emailTaken() : error;
    }
  }

  async findUser(id) {
    const { users } = await this.#connected();
    return fromDocument(await users.findOne({ _id: id }));
  }

  async findUserByEmail(email) {
    const { users } = await this.#connected();
    return fromDocument(await users.findOne({ email }));
  }

  async createItem(item) {
    const { items } = await this.#connected();
    await items.insertOne(toDocument(item));
  }

  async listItems(userId, { limit, after = '' }) {
    const { items } = await this.#connected();
    const found = items.find({ userId, _id: { $gt: after } }).sort({ _id: 1 }).limit(limit);
    return (await found.toArray()).map(fromDocument);
  }

  async findItem(userId, id) {
    const { items } = await this.#connected();
    return fromDocument(await items.findOne({ _id: id, userId }));
  }

  async updateItem(userId, id, changes) {
    const { items } = await this.#connected();
    const change = [{ _id: id, userId }, { $set: changes }, { returnDocument: 'after' }];
    return fromDocument(await items.findOneAndUpdate(...change));
  }

  async deleteItem(userId, id) {
    const { items } = await this.#connected();
    return (await items.deleteOne({ _id: id, userId })).deletedCount === 1;
  }

  /**
   * The collections, once there is a connection. The driver restores one that it had by itself, but
   * has to be asked again where the first failed: the database may start later than the service.
   */
  #connected() {
    this.#connecting ??= this.#connect().catch((error) => {
      this.#connecting = undefined;
      throw error;
    });
    return this.#connecting;
  }

  async #connect() {
    await this.#client.connect();
    const [users, items] = ['users', 'items'].map((name) => this.#client.db().collection(name));
    // Before anything is kept, since the first of them is what keeps addresses apart.
    await users.createIndex({ email: 1 }, { unique: true });
    await items.createIndex({ userId: 1, _id: 1 });
    return { users, items };
  }
}

const toDocument = ({ id, ...fields }) => ({ _id: id, ...fields });

function fromDocument(document) {
  if (!document) return undefined;
  const { _id: id, ...fields } = document;
  return { id, ...fields };
}
