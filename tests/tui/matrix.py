"""Which test drives which command and which key, by file and test.

``conftest.py`` looks on while such a test runs, and fails it when it does not do what it is here for; ``test_matrix.py`` says which
command or key stands here with no test, and which test is there no more. Keys are named as ``driven.py`` names them.
"""

from __future__ import annotations

from collections.abc import Mapping

DRIVES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "../e2e/test_typing_in_a_terminal.py": {
        "test_ctrl_z_suspends_and_after_fg_the_screen_is_whole": ("TuiApp: ctrl+z",),
    },
    "test_approvals.py": {
        "test_a_no_may_have_words": ("ApprovalCard: n",),
        "test_a_question_is_answered_by_number_or_in_words_or_declined": (
            "QuestionCard: d",
            "QuestionCard: w",
        ),
        "test_one_key_decides_and_what_lasts_is_asked_once_more[p-answer2]": ("ApprovalCard: p",),
        "test_one_key_decides_and_what_lasts_is_asked_once_more[s-answer1]": (
            "ApprovalCard: enter",
            "ApprovalCard: s",
        ),
        "test_one_key_decides_and_what_lasts_is_asked_once_more[y-answer0]": ("ApprovalCard: y",),
        "test_several_are_decided_one_by_one_or_together": (
            "ApprovalCard: a",
            "Card: tab",
            "TuiApp: f2",
        ),
        "test_this_and_the_rest_asks_no_more_until_the_turn_ends": ("ApprovalCard: A",),
        "test_what_is_edited_is_what_is_approved": ("ApprovalCard: e",),
    },
    "test_card_edits.py": {
        "test_a_key_shows_the_other_arguments_of_a_job_and_the_script_keeps_its_text": ("ApprovalCard: ctrl+t",),
    },
    "test_card_keys.py": {
        "test_controls_and_invisible_characters_are_shown_on_the_card_and_left_out_of_what_is_edited": ("ApprovalCard: ctrl+s",),
        "test_ctrl_c_clears_the_composer_and_up_brings_the_text_back": ("Composer._key_of_text: up",),
        "test_enter_sends_what_was_typed_and_not_what_was_offered_for_less_of_it": ("Composer._key_of_popup: enter",),
    },
    "test_card_text.py": {
        "test_the_composer_says_who_has_the_keys": ("Card: escape",),
    },
    "test_commands.py": {
        "test_a_command_sends_its_operation[/clear-operation1]": ("/clear",),
        "test_a_command_sends_its_operation[/compact-operation3]": ("/compact",),
        "test_a_command_sends_its_operation[/fork-operation4]": ("/fork",),
        "test_a_command_sends_its_operation[/new-operation0]": ("/new",),
        "test_a_command_sends_its_operation[/undo-operation2]": ("/undo",),
        "test_copy_gives_the_terminal_the_last_answer_or_an_earlier_one": ("/copy",),
        "test_help_lists_every_command_and_the_keys": ("/help",),
        "test_leaving_has_its_old_names[/quit]": ("/quit",),
        "test_plan_shows_the_plan_as_it_stands": ("/plan",),
        "test_rename_without_a_title_asks_for_one_and_shows_the_old_one": ("/rename",),
    },
    "test_commands_folder.py": {
        "test_a_submodule_of_a_strangers_starts_no_program_when_the_diff_is_looked_at": ("/diff",),
        "test_export_replaces_no_file": ("/export",),
        "test_init_asks_the_model_to_write_the_file_and_says_when_there_is_one": ("/init",),
        "test_memory_lists_the_files_that_are_told_and_shows_what_they_say": ("/memory",),
    },
    "test_commands_program.py": {
        "test_a_theme_is_put_on_by_name": ("/theme",),
        "test_doctor_shows_its_checks_one_after_the_other": ("/doctor",),
        "test_feedback_is_a_file_of_the_users_and_holds_nothing_of_the_conversation": ("/feedback",),
        "test_mcp_shows_servers_and_says_when_one_cannot_be_asked": ("/mcp",),
        "test_share_traces_shows_what_would_go_out_asks_and_switches_sharing_on_and_off_itself": ("/share-traces",),
        "test_tools_lists_the_built_in_ones_and_shows_one_in_full": ("/tools",),
    },
    "test_commands_session.py": {
        "test_an_effort_that_is_none_is_refused_with_the_list": ("/effort",),
        "test_cost_breaks_down_what_was_spent": ("/cost",),
        "test_status_tells_model_effort_runtime_turns_and_context": ("/status",),
        "test_yolo_is_switched_off_where_it_is_on": ("/yolo",),
    },
    "test_composer.py": {
        "test_ctrl_r_finds_by_words": ("Composer: ctrl+r",),
        "test_enter_sends_and_every_way_to_a_new_line_does_not": (
            "Composer._key_of_text: enter",
            "Composer: ctrl+j",
            "Composer: shift+enter",
        ),
        "test_escape_closes_the_suggestions_and_interrupts_nothing": ("Composer._key_of_popup: escape",),
        "test_the_history_goes_on_from_session_to_session_and_keeps_what_was_being_written": ("Composer._key_of_text: down",),
        "test_what_was_written_in_the_own_editor_is_in_the_composer": ("Composer: ctrl+g",),
    },
    "test_conversation.py": {
        "test_escape_interrupts_the_turn": ("TuiApp: escape",),
        "test_one_block_can_be_selected_unfolded_and_copied": ("Conversation: escape",),
        "test_thinking_streams_and_becomes_one_row_that_unfolds": ("TuiApp: ctrl+o",),
        "test_two_ctrl_c_leave_and_close_the_session": ("TuiApp: ctrl+c",),
    },
    "test_end_seen.py": {
        "test_while_scrolled_up_one_row_says_what_is_below_and_the_key_that_goes_there[ctrl+end]": ("TuiApp: ctrl+end",),
        "test_while_scrolled_up_one_row_says_what_is_below_and_the_key_that_goes_there[end]": ("TuiApp: end",),
    },
    "test_hooks_command.py": {
        "test_hooks_are_shown_with_their_file_and_how_they_ended": ("/hooks",),
    },
    "test_jobs_screen.py": {
        "test_a_job_of_another_session_is_attached": ("JobsScreen: a",),
        "test_jobs_lists_running_ones_first_and_those_of_other_sessions_last": ("/jobs",),
        "test_jobs_of_a_session_in_another_process_are_shown_and_left_alone": ("JobsScreen: c",),
    },
    "test_keys.py": {
        "test_a_block_is_unfolded_by_either_key[enter]": ("Conversation: enter",),
        "test_a_block_is_unfolded_by_either_key[space]": ("Conversation: space",),
        "test_a_line_that_is_asked_for_is_left_with_escape_and_nothing_is_taken": ("AskLine: escape",),
        "test_a_long_card_is_scrolled_by_rows_and_pages[keys0-1]": ("Card: down",),
        "test_a_long_card_is_scrolled_by_rows_and_pages[keys1-1]": ("Card: up",),
        "test_a_long_card_is_scrolled_by_rows_and_pages[keys2-10]": ("Card: pagedown",),
        "test_a_long_card_is_scrolled_by_rows_and_pages[keys3-0]": ("Card: pageup",),
        "test_a_number_chooses_that_option_of_a_question[1]": ("QuestionCard: 1",),
        "test_a_number_chooses_that_option_of_a_question[2]": ("QuestionCard: 2",),
        "test_a_number_chooses_that_option_of_a_question[3]": ("QuestionCard: 3",),
        "test_a_number_chooses_that_option_of_a_question[4]": ("QuestionCard: 4",),
        "test_a_number_chooses_that_option_of_a_question[5]": ("QuestionCard: 5",),
        "test_a_number_chooses_that_option_of_a_question[6]": ("QuestionCard: 6",),
        "test_a_number_chooses_that_option_of_a_question[7]": ("QuestionCard: 7",),
        "test_a_number_chooses_that_option_of_a_question[8]": ("QuestionCard: 8",),
        "test_a_number_chooses_that_option_of_a_question[9]": ("QuestionCard: 9",),
        "test_a_page_is_copied_and_closed[escape-c]": ("Pager: escape",),
        "test_a_page_is_copied_and_closed[q-c]": (
            "Pager: c",
            "Pager: q",
        ),
        "test_a_page_is_copied_and_closed[q-y]": ("Pager: y",),
        "test_a_page_is_scrolled_by_the_keys_of_a_pager[begin]": ("LinesView: g",),
        "test_a_page_is_scrolled_by_the_keys_of_a_pager[end]": ("LinesView: G",),
        "test_a_page_is_scrolled_by_the_keys_of_a_pager[page-back]": ("LinesView: b",),
        "test_a_page_is_scrolled_by_the_keys_of_a_pager[page]": ("LinesView: space",),
        "test_a_page_is_scrolled_by_the_keys_of_a_pager[row]": (
            "LinesView: j",
            "LinesView: k",
        ),
        "test_a_rewind_is_left_by_every_key_but_its_own_two[enter]": ("RewindConfirm: enter",),
        "test_a_rewind_is_left_by_every_key_but_its_own_two[escape]": ("RewindConfirm: escape",),
        "test_a_rewind_is_left_by_every_key_but_its_own_two[n]": ("RewindConfirm: n",),
        "test_ctrl_d_leaves_from_the_conversation_too": ("TuiApp: ctrl+d",),
        "test_ctrl_g_on_a_card_that_is_edited_asks_for_the_editor_and_loses_nothing_where_there_is_none": ("ApprovalCard: ctrl+g",),
        "test_enter_on_a_question_opens_the_line_for_an_answer_in_words": ("QuestionCard: enter",),
        "test_o_opens_the_link_of_the_block": ("Conversation: o",),
        "test_o_opens_the_page_of_the_job_and_r_looks_for_others_again": (
            "JobsScreen: o",
            "JobsScreen: r",
        ),
        "test_only_y_is_a_yes[enter-False]": ("Confirm: enter",),
        "test_only_y_is_a_yes[escape-False]": ("Confirm: escape",),
        "test_only_y_is_a_yes[n-False]": ("Confirm: n",),
        "test_only_y_is_a_yes[y-True]": ("Confirm: y",),
        "test_page_down_goes_on_to_the_end_again": (
            "TuiApp: pagedown",
            "TuiApp: pageup",
        ),
        "test_the_arrows_choose_among_the_commands_that_are_offered[keys0-1]": (
            "Composer._key_of_popup: down",
            "Composer._key_of_popup: tab",
        ),
        "test_the_arrows_choose_among_the_commands_that_are_offered[keys1-1]": ("Composer._key_of_popup: up",),
        "test_the_block_that_was_moved_to_is_copied[c-moves0-two]": (
            "Conversation: c",
            "Conversation: up",
        ),
        "test_the_block_that_was_moved_to_is_copied[c-moves1-two]": ("Conversation: down",),
        "test_the_block_that_was_moved_to_is_copied[y-moves0-two]": ("Conversation: y",),
        "test_the_cursor_of_a_list_moves_by_rows_and_pages_while_one_types[keys0-1]": (
            "Picker: down",
            "Picker: up",
        ),
        "test_the_cursor_of_a_list_moves_by_rows_and_pages_while_one_types[keys1-1]": (
            "Picker: ctrl+n",
            "Picker: ctrl+p",
        ),
        "test_the_cursor_of_a_list_moves_by_rows_and_pages_while_one_types[keys2-12]": ("Picker: pagedown",),
        "test_the_cursor_of_a_list_moves_by_rows_and_pages_while_one_types[keys3-0]": ("Picker: pageup",),
        "test_the_jobs_are_closed_by_either_key[escape]": ("JobsScreen: escape",),
        "test_the_jobs_are_closed_by_either_key[q]": ("JobsScreen: q",),
        "test_the_search_in_the_history_moves_takes_and_goes_back[keys1-second]": ("HistorySearch: down",),
        "test_the_search_in_the_history_moves_takes_and_goes_back[keys2-first]": ("HistorySearch: ctrl+r",),
        "test_the_search_in_the_history_moves_takes_and_goes_back[keys3-second]": ("HistorySearch: up",),
        "test_the_search_in_the_history_moves_takes_and_goes_back[keys4-kept]": ("HistorySearch: escape",),
        "test_what_was_written_is_undone_by_the_keys_that_terminals_send_for_ctrl_minus[ctrl+shift+minus]": ("Composer: ctrl+shift+minus",),
        "test_what_was_written_is_undone_by_the_keys_that_terminals_send_for_ctrl_minus[ctrl+underscore]": ("Composer: ctrl+underscore",),
    },
    "test_no_session.py": {
        "test_a_token_given_in_the_app_is_not_shown_is_kept_and_opens_the_session": ("/setup",),
    },
    "test_permissions.py": {
        "test_each_rule_is_shown_with_where_it_comes_from_and_which_has_no_effect": ("/permissions",),
    },
    "test_pickers.py": {
        "test_a_picker_is_searched_moved_in_taken_and_left[keys3-None]": ("Picker: escape",),
        "test_ctrl_t_asks_the_model_and_shows_what_came_of_it": ("ModelPicker: ctrl+t",),
        "test_model_with_an_id_switches_after_a_look_at_its_key": ("/model",),
        "test_resume_lists_sessions_and_enter_goes_on_with_one": ("/resume",),
        "test_rewind_shows_what_would_change_before_it_does_it": (
            "/rewind",
            "RewindConfirm: y",
        ),
        "test_what_is_or_may_be_the_users_own_can_be_kept_and_the_last_rewind_taken_back_from_the_list": ("RewindConfirm: m",),
    },
    "test_shell_lines.py": {
        "test_escape_stops_a_shell_line_and_not_the_turn": ("Composer._key_of_text: escape",),
    },
    "test_waiting.py": {
        "test_messages_for_after_the_turn_are_seen_taken_back_by_up_and_gone_when_sent": ("Composer: alt+enter",),
    },
}

PICTURES: Mapping[str, tuple[str, ...]] = {
    "ApprovalCard": (
        "test_card_looks/test_a_card_looks_so[command-small]",
        "test_card_looks/test_a_card_looks_so[job-wide]",
        "test_card_looks/test_a_card_in_the_light_theme[diff]",
    ),
    "AskLine": ("test_screen_looks/test_a_screen_looks_so[line-40x12]",),
    "CodeBlock": ("test_looks/test_an_answer_in_markdown[size0]",),
    "Confirm": (
        "test_screen_looks/test_a_screen_looks_so[confirm-80x24]",
        "test_screen_looks/test_a_screen_in_the_light_theme[confirm]",
    ),
    "HistorySearch": ("test_screen_looks/test_the_search_in_the_history[80x24]",),
    "JobBlock": ("test_screen_looks/test_jobs_a_shell_line_and_a_reply_that_is_being_written[80x24]",),
    "JobsScreen": (
        "test_picker_looks/test_the_jobs_look_so[120x40]",
        "test_screen_looks/test_a_screen_without_colours[jobs]",
    ),
    "MarkdownBlock": ("test_looks/test_an_answer_in_markdown[size1]",),
    "ModelPicker": (
        "test_picker_looks/test_the_model_picker_looks_so[80x24]",
        "test_screen_looks/test_the_model_picker_in_forty_columns",
    ),
    "NoticeBlock": ("test_looks/test_a_turn_with_calls_a_diff_and_a_plan[ml-intern-dark]",),
    "OpenBlock": ("test_screen_looks/test_jobs_a_shell_line_and_a_reply_that_is_being_written[80x24]",),
    "Pager": ("test_screen_looks/test_a_screen_looks_so[page-80x24]",),
    "Picker": (
        "test_picker_looks/test_the_rewind_picker_looks_so[120x40]",
        "test_screen_looks/test_a_screen_looks_so[list-40x12]",
    ),
    "PlanBlock": ("test_looks/test_a_turn_with_calls_a_diff_and_a_plan[ml-intern-dark]",),
    "QuestionCard": ("test_card_looks/test_a_card_looks_so[question-small]",),
    "RewindConfirm": ("test_picker_looks/test_the_question_before_a_rewind_looks_so[80x24]",),
    "SessionPicker": ("test_picker_looks/test_the_session_picker_looks_so[80x24]",),
    "ShellBlock": ("test_screen_looks/test_jobs_a_shell_line_and_a_reply_that_is_being_written[80x24]",),
    "ThemePicker": ("test_picker_looks/test_the_theme_picker_looks_so[80x24]",),
    "ThinkingBlock": ("test_looks/test_a_turn_with_calls_a_diff_and_a_plan[ml-intern-dark]",),
    "ToolBlock": (
        "test_looks/test_unfolded_calls",
        "test_agent_cards/test_three_that_run[folded-size0]",
    ),
    "UserBlock": ("test_looks/test_a_turn_with_calls_a_diff_and_a_plan[ml-intern-dark]",),
}
"""Where each screen, card and block is to be seen, among others, in ``__snapshots__``."""
