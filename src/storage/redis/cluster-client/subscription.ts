import { endClient, type Client } from './node-redis.js';

/**
 * Subscribes to sharded channels, on a connection of its own. Returns a function that unsubscribes.
 * @param client not connected yet
 * @param onEnd called once if the subscription ends by itself: the server, or one of the channels, has gone away
 */
export function subscribe(
  client: Client,
  channels: readonly string[],
  onMessage: (channel: string, message: string) => void,
  onEnd: () => void,
): () => void {
  let ended = false;
  const unsubscribe = () => {
    ended = true;
    endClient(client);
  };
  const fail = () => {
    if (ended) return;
    unsubscribe();
    onEnd();
  };
  client.on('error', fail).on('sharded-channel-moved', fail);
  const subscribeAll = () =>
    Promise.all(
      channels.map((each) => client.sSubscribe(each, (message, channel) => onMessage(channel, message))),
    );
  client.connect().then(subscribeAll).catch(fail);
  return unsubscribe;
}
