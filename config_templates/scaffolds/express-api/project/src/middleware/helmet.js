import helmet from 'helmet';

/** Headers for an API: nothing that it answers is a page, so nothing in it may run or load. */
export const createHelmet = () =>
  helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
  });
