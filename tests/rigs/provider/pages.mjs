// The login page and the consent page, without JavaScript.

import { refusal } from './people.mjs';

const FORM_LIMIT = 64 * 1024;

export function escaped(text) {
  return String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export function page(title, body) {
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title></head>
<body><main><h1>${escaped(title)}</h1>${body}</main></body></html>`;
}

export async function read(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > FORM_LIMIT) throw new Error('the request is too large');
  }
  return text;
}

function login(action, client, words, user) {
  return page('Sign in at the school', `
<p>to go on to ${escaped(client)}</p>
${words ? `<p role="alert">${escaped(words)}</p>` : ''}
<form method="post" action="${action}">
<p><label>User name <input name="user" autocomplete="username" value="${escaped(user)}" required></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button type="submit">Sign in</button></p>
</form>`);
}

function consent(action, client, user, scopes) {
  return page(`May ${client} know who you are?`, `
<p>You are ${escaped(user)}. It would learn:</p>
<ul>${scopes.map((scope) => `<li>${escaped(scope)}</li>`).join('')}</ul>
<form method="post" action="${action}">
<p><button name="answer" value="allow">Allow</button> <button name="answer" value="refuse">Refuse</button></p>
</form>`);
}

// What was missing is granted, and what was granted before stays.
async function granted(provider, { grantId, params, prompt, session }) {
  const grant = (grantId && await provider.Grant.find(grantId))
    || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details;
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  return grant.save();
}

// Answers what is asked below /interaction/ and leaves the rest to the provider.
export function interactions(provider) {
  return async (context, next) => {
    if (!context.path.startsWith('/interaction/')) return next();
    const details = await provider.interactionDetails(context.req, context.res);
    const { prompt, params, session } = details;
    const found = await provider.Client.find(params.client_id);
    const client = found?.clientName ?? params.client_id;
    const show = (body, status = 200) => {
      context.status = status;
      context.type = 'html';
      context.set('cache-control', 'no-store');
      context.body = body;
    };
    const finish = (result) => {
      context.respond = false;
      return provider.interactionFinished(context.req, context.res, result);
    };
    if (context.method === 'GET') {
      return show(prompt.name === 'login'
        ? login(context.path, client, undefined, params.login_hint ?? '')
        : consent(context.path, client, session.accountId, (params.scope ?? '').split(' ')));
    }
    const form = new URLSearchParams(await read(context.req));
    if (prompt.name === 'login') {
      const user = form.get('user') ?? '';
      const words = refusal(user, form.get('password') ?? '');
      return words ? show(login(context.path, client, words, user), 401) : finish({ login: { accountId: user } });
    }
    if (form.get('answer') !== 'allow') {
      return finish({ error: 'access_denied', error_description: 'The person has refused.' });
    }
    return finish({ consent: { grantId: await granted(provider, details) } });
  };
}
