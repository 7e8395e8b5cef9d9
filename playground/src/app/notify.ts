import { notifications } from "@mantine/notifications"
import i18next from "i18next"
import { faultOf } from "../api/errors"

/** For what failed without a place of its own on the page. */
export function notifyFault(error: unknown): void {
  const fault = faultOf(error)
  notifications.show({
    color: "red",
    title: i18next.t(`app:errors.title.${fault.kind}`),
    message: fault.reason
      ? i18next.t(`app:errors.reason.${fault.reason}`)
      : (fault.detail ?? i18next.t(`app:errors.text.${fault.kind}`)),
  })
}
