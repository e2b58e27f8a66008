// Access tokens: JWTs (RFC 7519) signed by HS256.

import { SignJWT, jwtVerify } from 'jose';

const ALGORITHM = 'HS256';

export function createTokens(config) {
  const key = new TextEncoder().encode(config.JWT_SECRET);
  const issuer = config.CMS_SERVICE_ID;
  return {
    lifetimeSeconds: config.JWT_LIFETIME_SECONDS,

    async issue(userId) {
      return new SignJWT()
        .setProtectedHeader({ alg: ALGORITHM })
        .setSubject(userId)
        .setIssuer(issuer)
        .setIssuedAt()
        .setExpirationTime(Math.floor(Date.now() / 1000) + config.JWT_LIFETIME_SECONDS)
        .sign(key);
    },

    /** The id of the user, or undefined where the token is not one of ours or is over. */
    async userIdOf(token) {
      try {
        const options = { algorithms: [ALGORITHM], issuer, requiredClaims: ['sub', 'exp'] };
        const { payload } = await jwtVerify(token, key, options);
        return payload.sub;
      } catch {
        return undefined;
      }
    },
  };
}
