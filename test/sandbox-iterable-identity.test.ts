import { describe, expect, test } from 'vitest';
import { callIterable, startBareSandbox, toListUpdate } from './support/bare-sandbox.ts';

const counts = (successCount: number, failCount: number) => ({ successCount, failCount });

describe('the sandbox knows people as Iterable does:', () => {
  test('an e-mail project goes by the e-mail and overwrites the userId', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    project.users.add({ email: 'a@example.com', userId: 'old' });
    const { id } = project.addList('Trial');
    const answer = await callIterable(
      bare.sandbox,
      project,
      '/api/lists/subscribe',
      toListUpdate(
        id,
        { email: 'A@example.com', userId: 'new' },
        { userId: 'unknown' },
        { userId: 'wanted', preferUserId: true },
      ),
    );
    expect(answer.json).toMatchObject({ ...counts(2, 1), failedUpdates: { invalidUserIds: ['unknown'] } });
    expect(project.users.find('a@example.com')?.userId).toBe('new');
    expect(project.membersOf('Trial')).toEqual([
      'a@example.com',
      expect.stringMatching(/^wanted\+.*@placeholder\.email$/),
    ]);
  });

  test('a project keyed by userId has no use for an e-mail alone', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'USER_ID' });
    const { id } = project.addList('Trial');
    const answer = await callIterable(
      bare.sandbox,
      project,
      '/api/lists/subscribe',
      toListUpdate(
        id,
        { email: 'a@example.com' },
        { userId: 'u-1' },
        { userId: 'blank ' },
        { userId: 'u'.repeat(53) },
      ),
    );
    expect(answer.json).toMatchObject(counts(1, 3));
    expect(project.membersOf('Trial')).toEqual(['u-1']);
  });

  test('a hybrid project takes either, and refuses two that belong to different people', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'HYBRID' });
    project.users.add({ email: 'a@example.com' });
    project.users.add({ userId: 'u-1' });
    const { id } = project.addList('Trial');
    const answer = await callIterable(
      bare.sandbox,
      project,
      '/api/lists/subscribe',
      toListUpdate(
        id,
        { email: 'a@example.com', userId: 'u-1' },
        { email: 'b@example.com' },
        { userId: 'u-2' },
      ),
    );
    expect(answer.json).toMatchObject({
      ...counts(2, 1),
      failedUpdates: { conflictEmails: ['a@example.com'], conflictUserIds: ['u-1'] },
    });
    const read = (query: string) =>
      callIterable(bare.sandbox, project, `/api/lists/getUsers?listId=${id}${query}`);
    expect((await read('')).text).toBe('b@example.com\nu-2\n');
  });

  test('what exists in a hybrid project and belongs to somebody else is named, and nobody is changed', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'HYBRID' });
    project.users.add({ email: 'ann@example.com', userId: 'u-ann' });
    project.users.add({ email: 'new@example.com' });
    const { id } = project.addList('Trial');
    const subscribers = [
      { email: 'Ann@example.com', userId: 'u-other' },
      { email: 'other@example.com', userId: 'u-ann' },
      { email: 'ann@example.com', userId: 'u-ann' },
      { email: 'new@example.com', userId: 'u-new' },
    ];
    const send = (name: string) =>
      callIterable(bare.sandbox, project, `/api/lists/${name}`, toListUpdate(id, ...subscribers));
    const clashes = {
      ...counts(2, 2),
      failedUpdates: { conflictEmails: ['ann@example.com'], conflictUserIds: ['u-ann'] },
    };
    expect((await send('subscribe')).json).toMatchObject(clashes);
    expect(project.membersOf('Trial')).toEqual(['ann@example.com', 'new@example.com']);
    expect([...project.users.all]).toMatchObject([
      { email: 'ann@example.com', userId: 'u-ann' },
      { email: 'new@example.com', userId: 'u-new' },
    ]);
    expect((await send('unsubscribe')).json).toMatchObject(clashes);
    expect(project.membersOf('Trial')).toEqual([]);
  });

  test('a userId that was overwritten names its person no longer', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    project.users.add({ email: 'a@example.com', userId: 'old' });
    project.users.add({ email: 'b@example.com', userId: 'old' });
    const { id } = project.addList('Trial');
    const subscribe = (...people: unknown[]) =>
      callIterable(bare.sandbox, project, '/api/lists/subscribe', toListUpdate(id, ...people));
    await subscribe({ email: 'a@example.com', userId: 'new' });
    await subscribe({ userId: 'old' });
    expect(project.membersOf('Trial')).toEqual(['a@example.com', 'b@example.com']);
  });

  test('who is forgotten or unknown is named', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    project.forgetUsers('email', 'gone@example.com');
    const { id } = project.addList('Trial');
    const added = await callIterable(
      bare.sandbox,
      project,
      '/api/lists/subscribe',
      toListUpdate(id, { email: 'gone@example.com' }),
    );
    expect(added.json).toMatchObject({
      ...counts(0, 1),
      failedUpdates: { forgottenEmails: ['gone@example.com'] },
    });
    const removed = await callIterable(
      bare.sandbox,
      project,
      '/api/lists/unsubscribe',
      toListUpdate(id, { email: 'x@example.com' }),
    );
    expect(removed.json).toMatchObject({
      ...counts(0, 1),
      failedUpdates: { notFoundEmails: ['x@example.com'] },
    });
  });
});
