import { MongoClient } from 'mongodb';
import { emailTaken } from '../errors.js';

const DUPLICATE_KEY = 11000;

/** Keeps everything in MongoDB, in the database that the URL names. */
export class MongoStore {
  kind = 'mongodb';
  #client;
  #database;
  #users;
  #items;
  #indexes;

  constructor(url) {
    // It connects at the first operation, and again whenever the database was away.
    this.#client = new MongoClient(url, {
      serverSelectionTimeoutMS: 2000,
      connectTimeoutMS: 2000,
      socketTimeoutMS: 20_000,
    });
    this.#database = this.#client.db();
    this.#users = this.#database.collection('users');
    this.#items = this.#database.collection('items');
  }

  async ping() {
    await this.#database.command({ ping: 1 });
    await this.#ready();
  }

  async close() {
    await this.#client.close();
  }

  async createUser(user) {
    await this.#ready();
    try {
      await this.#users.insertOne(toDocument(user));
    } catch (error) {
      throw error.code === DUPLICATE_KEY ? emailTaken() : error;
    }
  }

  async findUser(id) {
    return fromDocument(await this.#users.findOne({ _id: id }));
  }

  async findUserByEmail(email) {
    return fromDocument(await this.#users.findOne({ email }));
  }

  async createItem(item) {
    await this.#items.insertOne(toDocument(item));
  }

  async listItems(userId, { limit, after = '' }) {
    const found = this.#items.find({ userId, _id: { $gt: after } }).sort({ _id: 1 }).limit(limit);
    return (await found.toArray()).map(fromDocument);
  }

  async findItem(userId, id) {
    return fromDocument(await this.#items.findOne({ _id: id, userId }));
  }

  async updateItem(userId, id, changes) {
    const options = { returnDocument: 'after' };
    const filter = { _id: id, userId };
    return fromDocument(await this.#items.findOneAndUpdate(filter, { $set: changes }, options));
  }

  async deleteItem(userId, id) {
    return (await this.#items.deleteOne({ _id: id, userId })).deletedCount === 1;
  }

  /** Makes the indexes once; no account is made before that, as one of them keeps addresses apart. */
  async #ready() {
    this.#indexes ??= Promise.all([
      this.#users.createIndex({ email: 1 }, { unique: true }),
      this.#items.createIndex({ userId: 1, _id: 1 }),
    ]).catch((error) => {
      this.#indexes = undefined;
      throw error;
    });
    await this.#indexes;
  }
}

const toDocument = ({ id, ...fields }) => ({ _id: id, ...fields });

function fromDocument(document) {
  if (!document) return undefined;
  const { _id: id, ...fields } = document;
  return { id, ...fields };
}
