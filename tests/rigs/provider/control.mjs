// The control door: how a test changes the provider's world. No provider has such a thing; it listens on loopback, on
// a port of its own, so that it still answers while the provider is away.

import { change, claims, person } from './people.mjs';
import { read } from './pages.mjs';

// Ends the sessions as the end-session endpoint does: each program that takes back-channel logout is told, and what
// does not outlive a session is revoked. Answers who was told and what came of it.
async function endSessions(world, user) {
  const { provider, storage } = world;
  const told = [];
  for (const id of storage.sessionsOf(user)) {
    const session = await provider.Session.find(id);
    if (session === undefined) continue;
    for (const [clientId, authorization] of Object.entries(session.authorizations ?? {})) {
      const client = await provider.Client.find(clientId);
      if (client?.backchannelLogoutUri) {
        const outcome = await client.backchannelLogout(user, authorization.sid).then(() => 'taken', String);
        told.push({ client: clientId, sid: authorization.sid, outcome });
      }
      if (authorization.grantId && !authorization.persistsLogout) await storage.revoke(authorization.grantId);
    }
    await session.destroy();
  }
  return told;
}

// An access token as the token endpoint would issue it, without the walk through the pages.
async function issue(world, { user, client: clientId, resource, scope = resource ? 'occi' : 'openid profile email' }) {
  const { provider } = world;
  if (person(user) === undefined) throw new Error(`nobody is called "${user}"`);
  const client = await provider.Client.find(clientId);
  if (client === undefined) throw new Error(`no client is called "${clientId}"`);
  const grant = new provider.Grant({ accountId: user, clientId });
  if (resource) grant.addResourceScope(resource, scope);
  else grant.addOIDCScope(scope);
  const token = new provider.AccessToken({
    accountId: user, client, grantId: await grant.save(), gty: 'authorization_code', scope,
  });
  if (resource) token.resourceServer = new provider.ResourceServer(resource, world.resourceServer(resource));
  return { access_token: await token.save(), expires_in: token.expiration };
}

async function setClient({ storage }, id, metadata) {
  await storage.setClient(id, { client_id: id, ...await storage.client(id), ...metadata });
  return storage.client(id);
}

function answer(world, method, path, body) {
  const [, what, name] = path.split('/');
  switch (`${method} /${what}`) {
    case 'GET /requests': return Object.fromEntries(world.requests);
    case 'DELETE /requests': return world.requests.clear() ?? {};
    case 'GET /people': return claims(name);
    case 'POST /people': return change(name, body);
    case 'POST /clients': return setClient(world, name, body);
    case 'POST /end-sessions': return endSessions(world, name);
    case 'POST /access-token': return issue(world, body);
    case 'POST /keys': return world.rotateKeys(body.withdraw === true);
    case 'POST /away': return world.setAway(body.away === true);
    default: return undefined;
  }
}

export function controlDoor(world) {
  return async (request, response) => {
    const send = (status, value) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    try {
      const text = await read(request);
      const value = await answer(world, request.method, request.url, text === '' ? {} : JSON.parse(text));
      return value === undefined
        ? send(404, { error: `the control door knows no ${request.method} ${request.url}` })
        : send(200, value);
    } catch (error) {
      return send(400, { error: String(error) });
    }
  };
}
