"""Every view there is. A view is one file here; the tests, the jobs, the store and Feast follow this list."""

from foryou.features.definitions.user_activity import USER_ACTIVITY
from foryou.features.definitions.user_category import USER_CATEGORY
from foryou.features.definitions.user_history import USER_HISTORY
from foryou.features.definitions.video_engagement import VIDEO_ENGAGEMENT
from foryou.features.definitions.video_history import VIDEO_HISTORY
from foryou.features.spec import View

# At the end, because Flink numbers its operators in this order: the state of the views before a new one stays valid.
VIEWS: dict[str, View] = {
    view.full_name: view for view in (USER_ACTIVITY, USER_CATEGORY, VIDEO_ENGAGEMENT, USER_HISTORY, VIDEO_HISTORY)
}
