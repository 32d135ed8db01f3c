import { z } from 'zod';
import type { SandboxReply } from '../http.ts';
import { badParams, done, refuse } from './answers.ts';
import { createUpdateTally } from './failed-updates.ts';
import { type Failure, isUserId } from './identity.ts';
import type { IterableProject } from './project.ts';
import { perSecond, route } from './route.ts';
import type { AcceptedFields, FieldMismatch } from './user-fields.ts';
import { refuseEmail } from './users.ts';

const user = z.object({
  email: z.string().optional(),
  userId: z.string().optional(),
  preferUserId: z.boolean().optional(),
  dataFields: z.record(z.string(), z.unknown()).optional(),
  mergeNestedObjects: z.boolean().optional(),
});

type GivenUser = z.infer<typeof user>;

export const updateUserRoutes = [
  route({
    name: 'updateUser',
    method: 'POST',
    path: '/api/users/update',
    limits: perSecond(500),
    body: user.extend({ createNewFields: z.boolean().optional() }),
    answer({ project, input: { createNewFields = true, ...given } }) {
      if (given.email === undefined && given.userId === undefined) {
        return badParams('Either email or userId is required');
      }
      const outcome = updateUser(project, given, createNewFields);
      if ('failures' in outcome) return refuseUser(outcome.failures[0]!);
      return 'mismatches' in outcome ? refuseFields(outcome.mismatches) : done();
    },
  }),
  route({
    name: 'bulkUpdateUsers',
    method: 'POST',
    path: '/api/users/bulkUpdate',
    limits: perSecond(5),
    body: z.object({ users: z.array(user), createNewFields: z.boolean().optional() }),
    answer({ project, input: { users, createNewFields = true } }) {
      const tally = createUpdateTally();
      const created = new Set<string>();
      const filteredOut = new Set<string>();
      for (const given of users) {
        const outcome = updateUser(project, given, createNewFields);
        if ('failures' in outcome) tally.fail(outcome.failures);
        else if ('mismatches' in outcome) tally.fail([toFailure(given)]);
        else {
          for (const name of outcome.created) created.add(name);
          for (const name of outcome.filteredOut) filteredOut.add(name);
        }
      }
      return tally.toAnswer(users.length, project.settings.answerStyle, {
        created: [...created],
        filteredOut: [...filteredOut],
      });
    },
  }),
];

/** Adds who is not there. What is not named stays as it is. */
function updateUser(
  project: IterableProject,
  given: GivenUser,
  createNewFields: boolean,
): AcceptedFields | { failures: Failure[] } | { mismatches: FieldMismatch[] } {
  // Identifiers among the fields are not what people are known by.
  const { email: _, userId: __, ...dataFields } = given.dataFields ?? {};
  const accepted = project.fields.accept(dataFields, { createNewFields });
  if ('mismatches' in accepted) return accepted;
  const found = project.users.resolve(given, { create: true, updateExistingOnly: false });
  if ('failures' in found) return found;
  const { profile } = found;
  for (const [name, value] of Object.entries(accepted.dataFields)) {
    const old = profile.dataFields[name];
    profile.dataFields[name] =
      given.mergeNestedObjects && isObject(old) && isObject(value) ? { ...old, ...value } : value;
  }
  return accepted;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function toFailure({ email, userId }: GivenUser): Failure {
  return email === undefined
    ? { bucket: 'invalidData', kind: 'userId', identifier: userId ?? '' }
    : { bucket: 'invalidData', kind: 'email', identifier: email.toLowerCase() };
}

function refuseUser({ bucket, kind, identifier }: Failure): SandboxReply {
  if (bucket === 'forgotten') {
    return refuse(409, 'ForgottenUserError', `User ${identifier} was forgotten`);
  }
  if (bucket === 'conflict') {
    return refuse(409, 'ExternalKeyConflict', `${kind} ${identifier} belongs to another user`);
  }
  if (kind === 'email') return refuseEmail(identifier);
  return isUserId(identifier)
    ? refuse(400, 'UnknownUserIdError', `User does not exist. Email:  UserId: ${identifier}`)
    : refuse(400, 'InvalidUserIdError', `Invalid userId: ${identifier}`);
}

function refuseFields(mismatches: FieldMismatch[]): SandboxReply {
  const validationErrors = Object.fromEntries(
    mismatches.map(({ name, expectedType, incomingType, offendingValue }) => [
      name,
      {
        incomingTypes: [incomingType],
        expectedType,
        category: 'user',
        offendingValue,
        _type: 'UnexpectedType',
      },
    ]),
  );
  return refuse(
    400,
    'RequestFieldsTypesMismatched',
    'The request does not have the same data types as the project',
    { validationErrors },
  );
}
