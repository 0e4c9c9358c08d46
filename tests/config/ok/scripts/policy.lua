-- SPDX-License-Identifier: Apache-2.0
function on_request(request) end
