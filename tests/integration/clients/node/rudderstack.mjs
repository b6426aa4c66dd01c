// RudderStack's library for Node, which packs by default: only the data plane is ours.
import rudder from "@rudderstack/rudder-sdk-node";

const [url, writeKey] = process.argv.slice(2);
const Client = rudder.default ?? rudder;
const client = new Client(writeKey, { dataPlaneUrl: url, flushAt: 100, retryCount: 0 });
client.identify({ userId: "u1", traits: { country: "FR" } });
client.track({ userId: "u1", anonymousId: "d1", event: "Like", properties: { video_id: "v1" }, messageId: "own-id" });
client.track({
  userId: "u1",
  event: "Video Content Completed",
  properties: { asset_id: "v1", session_id: "s1", position: 9, total_length: 9 },
});
client.page({ userId: "u1", name: "Home" });
client.track({ userId: "u1", event: "Order Completed" });
await client.flush().catch((error) => console.log("failed:", error));
process.exit(0);
