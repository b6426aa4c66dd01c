// Segment's library for Node: only the host is ours.
import { Analytics } from "@segment/analytics-node";

const [url, writeKey] = process.argv.slice(2);
const client = new Analytics({ writeKey, host: url, maxRetries: 1 });
client.on("error", (error) => console.log("failed:", error));
client.identify({ userId: "u1", traits: { country: "FR" } });
client.track({ userId: "u1", anonymousId: "d1", event: "Like", properties: { video_id: "v1" }, messageId: "own-id" });
client.track({
  userId: "u1",
  event: "Video Content Completed",
  properties: { asset_id: "v1", session_id: "s1", position: 9, total_length: 9 },
});
client.page({ userId: "u1", name: "Home" });
client.track({ userId: "u1", event: "Order Completed" });
await client.closeAndFlush();
