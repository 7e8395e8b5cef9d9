import { ActionIcon } from "@mantine/core"
import { IconArrowLeft } from "@tabler/icons-react"
import type { ReactNode } from "react"
import { useTranslation } from "react-i18next"
import { Link } from "react-router"
import classes from "./MasterDetail.module.css"

interface Props {
  list: ReactNode
  /** What was chosen from the list; null shows the list alone on a phone. */
  detail: ReactNode | null
  /** Beside the list while nothing is chosen. */
  placeholder: ReactNode
}

/** A list with what was chosen from it beside it; on a phone one of the two. */
export function MasterDetail({ list, detail, placeholder }: Props) {
  return (
    <div className={classes.frame} data-chosen={detail !== null || undefined}>
      <div className={classes.list}>{list}</div>
      <div className={classes.detail}>{detail ?? placeholder}</div>
    </div>
  )
}

/** On a phone, the way from what was chosen back to the list. */
export function BackToList({ to }: { to: string }) {
  const { t } = useTranslation()
  return (
    <ActionIcon
      className={classes.back ?? ""}
      component={Link}
      to={to}
      variant="subtle"
      color="gray"
      size="lg"
      aria-label={t("actions.back")}
    >
      <IconArrowLeft size={20} />
    </ActionIcon>
  )
}
