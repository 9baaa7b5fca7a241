// The programs that this provider knows. Where Tombolo is reached is told by the environment, or later by a test.

// What a fresh `tombolo serve` is reached at.
const here = 'http://127.0.0.1:8787';
const words = (name, otherwise) => (process.env[name] ?? otherwise).split(' ').filter((word) => word !== '');

export function clients() {
  const [backchannel] = words('PROVIDER_BACKCHANNEL_LOGOUT_URI', `${here}/login/backchannel/school`);
  return {
    tombolo: {
      client_id: 'tombolo',
      client_secret: 'the-secret-of-tombolo-at-the-test-provider',
      client_name: 'Tombolo',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: words('PROVIDER_REDIRECT_URIS', `${here}/login/callback/school`),
      post_logout_redirect_uris: words('PROVIDER_POST_LOGOUT_REDIRECT_URIS', `${here}/login`),
      ...(backchannel && {
        backchannel_logout_uri: backchannel, backchannel_logout_session_required: true,
      }),
    },
    // A program of a person's own, such as a script that asks the OCCI door with an access token of the provider.
    script: {
      client_id: 'script',
      client_name: 'A script',
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
      response_types: [],
      redirect_uris: [],
    },
    // Another broker: nobody sits before it.
    peer: {
      client_id: 'peer',
      client_secret: 'the-secret-of-the-peer-at-the-test-provider',
      client_name: 'A peer',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    },
  };
}
