// What the provider keeps, in memory. It outlives the provider object, which is made anew when keys are rotated.

import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';

export class Storage {
  #adapter = createMemoryAdapter();
  #sessions = new Map();

  // What the library makes of each of its models.
  get factory() {
    return (model) => {
      const adapter = this.#adapter(model);
      if (model !== 'Session') return adapter;
      const { upsert, destroy } = adapter;
      adapter.upsert = (id, payload, seconds) => {
        this.#sessions.set(id, payload.accountId);
        return upsert.call(adapter, id, payload, seconds);
      };
      adapter.destroy = (id) => {
        this.#sessions.delete(id);
        return destroy.call(adapter, id);
      };
      return adapter;
    };
  }

  sessionsOf(user) {
    return [...this.#sessions].filter(([, account]) => account === user).map(([id]) => id);
  }

  client(id) {
    return this.#adapter('Client').find(id);
  }

  setClient(id, metadata) {
    return this.#adapter('Client').upsert(id, metadata);
  }

  revoke(grantId) {
    return Promise.all(['AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode', 'Grant']
      .map((model) => this.#adapter(model))
      .map((adapter) => (adapter.model === 'Grant' ? adapter.destroy(grantId) : adapter.revokeByGrantId(grantId))));
  }
}
