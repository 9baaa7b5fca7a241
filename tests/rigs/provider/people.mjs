// The people whom this provider knows. A test changes them through the control door.

const people = new Map([
  ['anna', {
    password: 'blackboard', name: 'Anna Teacher', email: 'anna@school.example', groups: ['teachers', 'class-3b'],
  }],
  ['ben', { password: 'schoolbag', name: 'Ben Pupil', email: 'ben@school.example', groups: ['class-3b'] }],
  ['carl', { password: 'passer-by', name: 'Carl Stranger', email: 'carl@elsewhere.example', groups: [] }],
]);

const CHANGEABLE = new Set([
  'password', 'name', 'email', 'email_verified', 'groups', 'preferred_username', 'disabled', 'extra',
]);

export function person(user) {
  return people.get(user);
}

// Someone new, or what is to be different about someone known.
export function change(user, changes) {
  for (const key of Object.keys(changes)) {
    if (!CHANGEABLE.has(key)) throw new Error(`a person has no "${key}"; there are ${[...CHANGEABLE].join(', ')}`);
  }
  people.set(user, { name: user, groups: [], ...people.get(user), ...changes });
  return people.get(user);
}

// Whether this is somebody's password, or why it opens nothing.
export function refusal(user, password) {
  const known = people.get(user);
  if (known === undefined || known.password === undefined || known.password !== password) {
    return 'User name or password is wrong.';
  }
  return known.disabled ? 'This account is disabled.' : undefined;
}

export function claims(user) {
  const { name, email, email_verified = true, groups, preferred_username = user, extra = {} } = people.get(user);
  return { sub: user, name, preferred_username, email, email_verified, groups, ...extra };
}

// What the provider library asks for: nothing for somebody unknown or disabled, so that their tokens end as well.
export async function account(_context, user) {
  const known = people.get(user);
  if (known === undefined || known.disabled) return undefined;
  return { accountId: user, claims: async () => claims(user) };
}
