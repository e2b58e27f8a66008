import { ApiError } from './errors.js';

/** What the schema makes of a body or a query. Throws ApiError 400, which names every field. */
export function valid(schema, given) {
  const { data, error } = schema.safeParse(given ?? {});
  if (error) {
    const problems = error.issues.map((each) => [...each.path, each.message].join(': '));
    throw new ApiError(400, 'VALIDATION_FAILED', problems.join('; '));
  }
  return data;
}
