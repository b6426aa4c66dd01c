"""Whom features are about. An app is part of every key: more than one can share a stack."""

from feast import Entity, ValueType

app = Entity(
    name="app", join_keys=["app_id"], value_type=ValueType.STRING, description="the app whose write key it was"
)
user = Entity(
    name="user",
    join_keys=["user_key"],
    value_type=ValueType.STRING,
    description="a person (or a device without account): keyed HMAC of the client's id, never the id",
)
video = Entity(name="video", join_keys=["video_id"], value_type=ValueType.STRING, description="a video")
