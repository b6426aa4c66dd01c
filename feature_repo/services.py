"""What a model asks for, by name: a new set of features is a new version of the service."""

from feast import FeatureService
from views import (
    user_activity_v1,
    user_category_v1,
    user_history_v1,
    user_interests_v1,
    video_engagement_v1,
    video_history_v1,
)

ranking_v1 = FeatureService(
    name="ranking_v1",
    features=[user_activity_v1, user_category_v1],
    description="what the ranker knows of the viewer, merged at the moment of reading",
    owner="feed",
)

video_v1 = FeatureService(
    name="video_v1",
    features=[video_engagement_v1],
    description="how a video does; one video at a time: for 10,000 candidates the ranker follows the topic instead",
    owner="feed",
)

history_v1 = FeatureService(
    name="history_v1",
    features=[user_history_v1],
    description="what a person did in weeks: the batch layer's days, and the stream's of today",
    owner="feed",
)

video_history_service_v1 = FeatureService(
    name="video_history_service_v1",
    features=[video_history_v1],
    description="how a video did in weeks",
    owner="feed",
)

cold_start_v1 = FeatureService(
    name="cold_start_v1",
    features=[user_interests_v1],
    description="what is known of a viewer who has done nothing yet",
    owner="feed",
)
