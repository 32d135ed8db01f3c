import { z } from 'zod';
import type { SandboxReply } from '../http.ts';
import { badParams, done, refuse, refuseEmail } from './answers.ts';
import { createUpdateTally } from './failed-updates.ts';
import { type Failure, isUserId } from './identity.ts';
import { perSecond, route } from './route.ts';
import type { FieldMismatch } from './user-fields.ts';
import { givenProfile, writeProfile } from './write-profile.ts';

export const updateUserRoutes = [
  route({
    name: 'updateUser',
    method: 'POST',
    path: '/api/users/update',
    limits: perSecond(500),
    body: givenProfile.extend({ createNewFields: z.boolean().optional() }),
    answer({ project, input: { createNewFields = true, ...given } }) {
      if (given.email === undefined && given.userId === undefined) {
        return badParams('Either email or userId is required');
      }
      const written = writeProfile(project, given, { createNewFields });
      if ('profile' in written) return done();
      const { failures, mismatches } = written;
      return mismatches.length > 0 ? refuseFields(mismatches) : refuseUser(failures[0]!);
    },
  }),
  route({
    name: 'bulkUpdateUsers',
    method: 'POST',
    path: '/api/users/bulkUpdate',
    limits: perSecond(5),
    body: z.object({ users: z.array(givenProfile), createNewFields: z.boolean().optional() }),
    answer({ project, input: { users, createNewFields = true } }) {
      const tally = createUpdateTally();
      for (const given of users) tally.count(writeProfile(project, given, { createNewFields }));
      return tally.toAnswer(project.settings.answerStyle);
    },
  }),
];

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
