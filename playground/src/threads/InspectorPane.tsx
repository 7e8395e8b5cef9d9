import { Drawer } from "@mantine/core"
import { useMediaQuery } from "@mantine/hooks"
import { lazy, Suspense } from "react"
import { useTranslation } from "react-i18next"
import type { InspectorProps } from "../inspector/Inspector"
import classes from "./InspectorPane.module.css"

const Inspector = lazy(() => import("../inspector/Inspector"))

interface Props extends InspectorProps {
  isOpen: boolean
  onClose: () => void
}

/** The inspector beside the conversation where there is room for both, else over it. */
export function InspectorPane({ isOpen, onClose, ...props }: Props) {
  const { t } = useTranslation(["threads", "app"])
  const isWide = useMediaQuery("(min-width: 75em)", true, { getInitialValueInEffect: false })
  const content = (
    <Suspense>
      <Inspector {...props} />
    </Suspense>
  )
  if (isWide) {
    return isOpen ? (
      <aside className={classes.pane} aria-label={t("head.inspector")}>
        {content}
      </aside>
    ) : null
  }
  return (
    <Drawer
      opened={isOpen}
      onClose={onClose}
      position="right"
      size="md"
      padding={0}
      title={t("head.inspector")}
      classNames={{ header: classes.drawerHead ?? "", body: classes.drawerBody ?? "" }}
      closeButtonProps={{ "aria-label": t("app:actions.close") }}
    >
      {content}
    </Drawer>
  )
}
