"""Every view there is. A view is one file here; the tests, the jobs, the store and Feast follow this list."""

from foryou.features.definitions.user_activity import USER_ACTIVITY
from foryou.features.definitions.user_category import USER_CATEGORY
from foryou.features.definitions.video_engagement import VIDEO_ENGAGEMENT
from foryou.features.spec import View

VIEWS: dict[str, View] = {view.full_name: view for view in (USER_ACTIVITY, USER_CATEGORY, VIDEO_ENGAGEMENT)}
