// A real OpenID Connect provider for tests: npm's oidc-provider, with people, pages and programs of its own.
// Prints one line of JSON when it listens: issuer, control. Ends when its input ends. See README.md.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { generateKeyPairSync, randomBytes } from 'node:crypto';

// The library informs on standard output, which has to hold our one line.
console.info = console.error;
const { default: Provider } = await import('oidc-provider');
const { clients } = await import('./clients.mjs');
const { controlDoor } = await import('./control.mjs');
const { interactions } = await import('./pages.mjs');
const { account, claims } = await import('./people.mjs');
const { Storage } = await import('./storage.mjs');

const number = (name, otherwise) => Number(process.env[name] ?? otherwise);
const hour = 3600;

function newKeys() {
  const key = (kind, options, alg) => ({
    ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }),
    alg, use: 'sig', kid: randomBytes(8).toString('hex'),
  });
  return [key('rsa', { modulusLength: 2048 }, 'RS256'), key('ec', { namedCurve: 'P-256' }, 'ES256')];
}

// The resource whose access tokens are JWTs; without a resource they are opaque.
function resourceServer(resource) {
  return { scope: 'occi', audience: resource, accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'RS256' } } };
}

function configuration(storage, keys, port) {
  return {
    adapter: storage.factory,
    jwks: { keys },
    findAccount: account,
    claims: {
      openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username', 'groups'],
    },
    scopes: ['openid', 'offline_access', 'profile', 'email', 'occi'],
    // Two providers on one host must not read each other's cookies: those are not told apart by the port.
    cookies: {
      keys: [randomBytes(32).toString('hex')],
      names: { session: `session-${port}`, interaction: `step-${port}`, resume: `resume-${port}` },
    },
    pkce: { required: () => true },
    // As Keycloak does: Tombolo gets a refresh token without asking for one. Without offline_access it ends with the
    // session.
    issueRefreshToken: async (_context, client, source) => client.grantTypeAllowed('refresh_token')
      && (client.clientId === 'tombolo' || source.scopes.has('offline_access')),
    rotateRefreshToken: true,
    // A JWT says all by itself; who has an opaque token has to ask.
    extraTokenClaims: async (_context, token) => {
      if (token.accountId === undefined || token.resourceServer === undefined) return undefined;
      const { groups, preferred_username } = claims(token.accountId);
      return { groups, preferred_username };
    },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: async (_context, resource) => resourceServer(resource),
      },
    },
    ttl: {
      AccessToken: number('PROVIDER_ACCESS_TOKEN_SECONDS', hour),
      AuthorizationCode: 60,
      ClientCredentials: number('PROVIDER_ACCESS_TOKEN_SECONDS', hour),
      DeviceCode: number('PROVIDER_DEVICE_CODE_SECONDS', 600),
      Grant: 24 * hour,
      IdToken: number('PROVIDER_ID_TOKEN_SECONDS', hour),
      Interaction: 600,
      RefreshToken: number('PROVIDER_REFRESH_TOKEN_SECONDS', 24 * hour),
      Session: number('PROVIDER_SESSION_SECONDS', 24 * hour),
    },
    // The library refuses to speak to addresses of this host, where everything lives that is tested here.
    fetch: (url, { dispatcher: _guard, ...options }) => globalThis.fetch(url, options),
  };
}

const storage = new Storage();
const requests = new Map();
let keys = newKeys();
let answering;

const server = createServer((request, response) => {
  const path = request.url.split('?')[0].replace(/^\/interaction\/.*/, '/interaction');
  requests.set(path, (requests.get(path) ?? 0) + 1);
  return answering(request, response);
});
async function listen(port) {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}
const port = await listen(number('PROVIDER_PORT', 0));
// Another name than Tombolo's 127.0.0.1, so that the browser takes the two for two sites, as they are in real life.
const issuer = `http://${process.env.PROVIDER_HOST ?? 'localhost'}:${port}`;

const world = {
  storage, requests, resourceServer, provider: undefined,

  // New keys sign from now on. The old ones stay published, unless they are withdrawn.
  rotateKeys(withdraw) {
    keys = withdraw ? newKeys() : [...newKeys(), ...keys].slice(0, 8);
    open();
    return { kids: keys.map(({ kid }) => kid) };
  },

  // While it is away, the provider's port is closed; when it is back, it is the old port.
  async setAway(away) {
    if (away && server.listening) {
      server.closeAllConnections();
      await new Promise((closed) => { server.close(closed); });
    } else if (!away && !server.listening) {
      await listen(port);
    }
    return { away: !server.listening };
  },
};

function open() {
  const provider = new Provider(issuer, configuration(storage, keys, port));
  provider.use(interactions(provider));
  for (const event of ['server_error', 'backchannel.error', 'grant.error', 'authorization.error']) {
    provider.on(event, (...details) => {
      const error = details.find((detail) => detail instanceof Error);
      console.error(`${event}: ${error?.stack ?? error} ${error?.error_detail ?? ''}`);
    });
  }
  world.provider = provider;
  answering = provider.callback();
}

for (const [id, metadata] of Object.entries(clients())) await storage.setClient(id, metadata);
open();

const control = createServer(controlDoor(world));
control.listen(number('PROVIDER_CONTROL_PORT', 0), '127.0.0.1');
await once(control, 'listening');
console.log(JSON.stringify({ issuer, control: `http://127.0.0.1:${control.address().port}` }));

// Whoever started this holds the other end of its input, and is gone when that is closed.
process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();
