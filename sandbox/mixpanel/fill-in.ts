import { randomUUID } from 'node:crypto';
import { isObject } from '../is-object.ts';
import { isFilled, toMs } from './check-event.ts';

const IDENTITY_EVENTS: readonly unknown[] = ['$identify', '$create_alias', '$merge'];

/** What Mixpanel puts into a record that it does not check strictly: an $insert_id, nobody, and where it may, the time. */
export function fillIn(record: unknown, now?: number): unknown {
  if (!isObject(record) || !isObject(record.properties)) return record;
  const { properties } = record;
  const { $user_id: userId, $device_id: deviceId, time } = properties;
  const isSomebody = isFilled(userId) || isFilled(deviceId);
  const isEarly = typeof time === 'number' && now !== undefined && toMs(time) > now;
  return {
    ...record,
    properties: {
      $insert_id: randomUUID(),
      ...(isSomebody ? {} : { distinct_id: '' }),
      ...(now === undefined ? {} : { time: now }),
      ...properties,
      ...(isEarly ? { time: now } : {}),
    },
  };
}

/** It merges identities, which only projects of the original kind let it do. */
export function isIdentityEvent(record: unknown): boolean {
  return isObject(record) && IDENTITY_EVENTS.includes(record.event);
}
