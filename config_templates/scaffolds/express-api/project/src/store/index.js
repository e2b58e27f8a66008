// Where users and items are kept. Both stores offer the same functions:
//
//   kind                                 'mongodb' or 'memory'
//   ping(), close()
//   createUser(user)                     throws ApiError 409 where the address is taken
//   findUser(id), findUserByEmail(email) the user or undefined
//   createItem(item)
//   listItems(userId, { limit, after })  in the order they were made, after the item of this id
//   findItem(userId, id)                 the item or undefined
//   updateItem(userId, id, changes)      the changed item or undefined
//   deleteItem(userId, id)               whether there was one

import { MemoryStore } from './memory.js';
import { MongoStore } from './mongo.js';

export const createStore = (config) =>
  config.MONGODB_URL ? new MongoStore(config.MONGODB_URL) : new MemoryStore();
