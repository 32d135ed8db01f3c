import { RunFailure } from './run-outcome.ts';

// Iterable does not tell how a project keys its users. Each of these is what a run sees when it was connected as something else.

export function peopleWithoutEmail(): RunFailure {
  return new RunFailure(
    'DESTINATION_UNAVAILABLE',
    "The list in Iterable holds people without an e-mail address, so its project is not keyed by e-mail as it is connected. Nothing was written. Look into the project's settings in Iterable, and connect it again with the right projectType (USER_ID or HYBRID).",
    { retryable: false },
  );
}

export function listedByEmail(): RunFailure {
  return new RunFailure(
    'DESTINATION_UNAVAILABLE',
    "Iterable lists people by their e-mails alone whom it was given with userIds, so its project is not hybrid as it is connected. Nothing was written. Look into the project's settings in Iterable, and connect it again with the right projectType (probably EMAIL).",
    { retryable: false },
  );
}

export function additionsUnknown(people: number): RunFailure {
  return new RunFailure(
    'DESTINATION_UNAVAILABLE',
    `Iterable knows none of the userIds of ${people} additions, and made nobody by them. Its project is probably keyed by e-mail: look into the project's settings in Iterable, and connect it again with the right projectType.`,
    { retryable: false },
  );
}

export function removalsRefused(people: number): RunFailure {
  return new RunFailure(
    'DESTINATION_UNAVAILABLE',
    `Iterable refused all ${people} removals of a request, and removed nobody by it. Its project is probably keyed by something else than it is connected as: look into the project's settings in Iterable, and connect it again with the right projectType.`,
    { retryable: false },
  );
}
